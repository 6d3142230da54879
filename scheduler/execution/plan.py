"""A workflow's document as the steps of an attempt. PURE."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.errors import HindcastError
from scheduler.execution import storable
from scheduler.execution.operators import OPERATORS

MOST_STEPS = 1000
DEEPEST = 50
ROOT_KEYS = {"timezone", "schedule"}


class PlanRefused(HindcastError):  # noqa: N818 - named as the fact
    """The document cannot be run. `task` is the full name of the task that is wrong."""

    def __init__(self, task: str, message: str) -> None:
        super().__init__(message)
        self.task = task


@dataclass(frozen=True, slots=True)
class Step:
    """A task or a group around tasks. `last` is the last position inside it; its own, for a task.

    `path` holds the groups around it, the outermost first. `config` is what the document says of it alone.
    """

    position: int
    path: tuple["Step", ...]
    upstreams: tuple[int, ...]
    full_name: str
    is_group: bool
    last: int
    config: Mapping[str, Any]
    operator: str = ""

    @property
    def parent(self) -> int | None:
        return self.path[-1].position if self.path else None

    @property
    def command(self) -> Any:
        return self.config[f"{self.operator}>"]

    @property
    def exports(self) -> Mapping[str, Any]:
        """Variables for this step and everything inside it; their texts are templates."""
        return self.config.get("_export") or {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The task's own parameters: its keys beside the operator and the directives."""
        return {key: value for key, value in self.config.items() if not key.endswith(">") and key[:1] != "_"}


def plan(name: str, document: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps in the order of the document; position 0 is the workflow itself, `+name`.

    Raises PlanRefused for anything that would not be run as it is written.
    """
    root = {key: value for key, value in storable.json_value(document).items() if key not in ROOT_KEYS}
    steps = list(_steps(f"+{storable.text(name)}", root, 0, (), ()))
    if len(steps) > MOST_STEPS:
        raise PlanRefused(steps[0].full_name, f"There are {len(steps)} tasks; {MOST_STEPS} is the most.")
    return tuple(steps)


def _steps(
    name: str, config: object, position: int, path: tuple[Step, ...], upstreams: tuple[int, ...]
) -> Iterator[Step]:
    """The step `name` and everything inside it, from `position` on."""
    if not isinstance(config, dict):
        raise PlanRefused(name, "A task is a mapping with an operator, such as echo>, or with tasks inside it.")
    if len(path) > DEEPEST:
        raise PlanRefused(name, f"Tasks are nested more than {DEEPEST} deep.")
    operator = _operator(name, config)
    own = {key: value for key, value in config.items() if not key.startswith("+")}
    if operator:
        yield Step(position, path, upstreams, name, False, position, own, operator)
        return
    last = position + _size(config) - 1
    group = Step(position, path, upstreams, name, True, last, own)
    yield group
    before: tuple[int, ...] = ()
    following = position + 1
    for key, value in config.items():
        if key.startswith("+"):
            yield from _steps(name + key, value, following, (*path, group), before)
            before = (following,)
            following += _size(value)


def _operator(name: str, config: Mapping[str, Any]) -> str:
    """The operator's name; "" for a group. Raises PlanRefused."""
    operators = [key for key in config if key.endswith(">")]
    children = [key for key in config if key.startswith("+")]
    _check_directives(name, config)
    if len(operators) > 1:
        raise PlanRefused(name, f"A task has one operator, not {len(operators)}: {', '.join(operators)}.")
    if operators and children:
        raise PlanRefused(name, f"A task with an operator ({operators[0]}) has no tasks inside it.")
    if not operators and not children:
        raise PlanRefused(name, "There is no operator, such as echo>, and no task inside.")
    if not operators:
        _check_group(name, config)
        return ""
    operator = operators[0][:-1]
    if operator not in OPERATORS:
        raise PlanRefused(name, f"There is no operator {operator}>; there are {', '.join(f'{o}>' for o in OPERATORS)}.")
    return operator


def _check_directives(name: str, config: Mapping[str, Any]) -> None:
    for key in config:
        if key.startswith("_") and key != "_export":
            raise PlanRefused(name, f"The directive {key}: is not supported.")
    if not isinstance(config.get("_export") or {}, dict):
        raise PlanRefused(name, "_export: takes a mapping of names to values.")


def _check_group(name: str, config: Mapping[str, Any]) -> None:
    unknown = [key for key in config if not key.startswith(("+", "_"))]
    if unknown:
        raise PlanRefused(name, f"A group of tasks has no {unknown[0]}: setting.")


def _size(config: object) -> int:
    """How many steps a task makes, itself included."""
    if not isinstance(config, dict):
        return 1
    return 1 + sum(_size(value) for key, value in config.items() if key.startswith("+"))
