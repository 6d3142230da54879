"""A workflow's document as a tree of tasks, before any of them ran. PURE.

The words are Digdag's: `+name` is a task, an operator (`sh>`) says what it does, a mapping of tasks is a group, and a
directive (`_retry`) says how. Tasks that come up while the attempt runs (`loop>`, `_error`) are read by `part`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.errors import HindcastError
from scheduler.execution import storable
from scheduler.execution.operators import OPERATORS

MOST_TASKS = 1000
DEEPEST = 50
ROOT_KEYS = {"timezone", "schedule"}
DIRECTIVES = {"_export", "_parallel", "_background", "_retry", "_error", "_check", "_env"}


class PlanRefused(HindcastError):  # noqa: N818 - named as the fact
    """The document cannot be run. `task` is the full name of the task that is wrong."""

    def __init__(self, task: str, message: str) -> None:
        super().__init__(message)
        self.task = task


@dataclass(frozen=True, slots=True)
class Retry:
    """`_retry`: at most `limit` more times, `interval` seconds apart, doubling when `exponential`."""

    limit: int
    interval: float = 0.0
    exponential: bool = False

    def wait(self, retries: int) -> float:
        """Seconds before the next time, when it was run again `retries` times already."""
        return min(self.interval * 2**retries, LONGEST_WAIT) if self.exponential else self.interval


LONGEST_WAIT = 24 * 3600.0
NO_RETRY = Retry(0)


@dataclass(frozen=True, slots=True)
class Spec:
    """One task, or a group of tasks, as the document has it. `config` is what it says of it alone."""

    name: str
    config: Mapping[str, Any]
    operator: str = ""
    children: tuple["Spec", ...] = ()
    retry: Retry = NO_RETRY
    parallel: bool = False
    limit: int = 0  # of children that run at the same time; 0 for as many as there are
    error: "Spec | None" = None
    check: "Spec | None" = None
    size: int = field(default=1)  # with everything inside it

    @property
    def is_group(self) -> bool:
        return not self.operator

    @property
    def command(self) -> Any:
        """What stands beside the operator."""
        return self.config[f"{self.operator}>"]

    @property
    def exports(self) -> Mapping[str, Any]:
        """Variables for this task and everything inside it; their texts are templates."""
        return self.config.get("_export") or {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The task's own parameters: its keys beside the operator and the directives."""
        return {key: value for key, value in self.config.items() if not key.endswith(">") and key[:1] != "_"}

    def upstreams(self) -> Iterator[tuple[int, ...]]:
        """For each child the indexes of those that must succeed before it starts.

        One follows the other, unless the group is parallel. One in the background waits for none; the next one that
        is not waits for it, too.
        """
        before: list[int] = []
        for index, child in enumerate(self.children):
            if self.parallel:
                yield ()
            elif child.config.get("_background"):
                yield ()
                before.append(index)
            else:
                yield tuple(before)
                before = [index]


def plan(name: str, document: Mapping[str, Any]) -> Spec:
    """The workflow itself, `+name`, with all its tasks.

    Raises PlanRefused for anything that would not be run as it is written.
    """
    root = {key: value for key, value in storable.json_value(document).items() if key not in ROOT_KEYS}
    full_name = f"+{storable.text(name)}"
    spec = _spec(full_name, full_name, root, 0)
    if spec.size > MOST_TASKS:
        raise PlanRefused(full_name, f"There are {spec.size} tasks; {MOST_TASKS} is the most.")
    return spec


def part(name: str, config: Mapping[str, Any], *, parent: str, depth: int) -> Spec:
    """Tasks that came up inside the running task `parent`, whose full name is given, as one task or group `name`.

    Raises PlanRefused.
    """
    return _spec(name, parent + name, storable.json_value(config), depth)


def _spec(name: str, full_name: str, config: object, depth: int) -> Spec:
    if not isinstance(config, dict):
        raise PlanRefused(full_name, "A task is a mapping with an operator, such as echo>, or with tasks inside it.")
    if depth > DEEPEST:
        raise PlanRefused(full_name, f"Tasks are nested more than {DEEPEST} deep.")
    operator = _operator(full_name, config)
    children = tuple(
        _spec(key, full_name + key, value, depth + 1) for key, value in config.items() if key.startswith("+")
    )
    parallel, limit = _parallel(full_name, config.get("_parallel", False))
    return Spec(
        name=name,
        config={key: value for key, value in config.items() if not key.startswith("+")},
        operator=operator,
        children=children,
        retry=_retry(full_name, config.get("_retry", 0)),
        parallel=parallel,
        limit=limit,
        error=_after(full_name, "^error", config.get("_error"), depth),
        check=_after(full_name, "^check", config.get("_check"), depth),
        size=1 + sum(child.size for child in children),
    )


def _operator(name: str, config: Mapping[str, Any]) -> str:
    """The operator's name; "" for a group. Raises PlanRefused."""
    operators = [key for key in config if key.endswith(">")]
    children = [key for key in config if key.startswith("+")]
    if len(operators) > 1:
        raise PlanRefused(name, f"A task has one operator, not {len(operators)}: {', '.join(operators)}.")
    if operators and children:
        raise PlanRefused(name, f"A task with an operator ({operators[0]}) has no tasks inside it.")
    if not operators and not children:
        raise PlanRefused(name, "There is no operator, such as echo>, and no task inside.")
    operator = operators[0][:-1] if operators else ""
    if operator and operator not in OPERATORS:
        raise PlanRefused(name, f"There is no operator {operator}>; there are {', '.join(f'{o}>' for o in OPERATORS)}.")
    _check_keys(name, operator, config)
    return operator


def _check_keys(name: str, operator: str, config: Mapping[str, Any]) -> None:
    inside = OPERATORS[operator].inside if operator else ()
    for key in config:
        if key.startswith("_") and key not in DIRECTIVES and key not in inside:
            raise PlanRefused(name, f"The directive {key}: is not supported{f' by {operator}>' if operator else ''}.")
        if not operator and not key.startswith(("+", "_")):
            raise PlanRefused(name, f"A group of tasks has no {key}: setting.")
    for key in ("_export", "_env"):
        if not isinstance(config.get(key) or {}, dict):
            raise PlanRefused(name, f"{key}: takes a mapping of names to values.")
    if not isinstance(config.get("_background", False), bool):
        raise PlanRefused(name, "_background: is true or false.")


def _parallel(name: str, said: object) -> tuple[bool, int]:
    """Whether, and how many at most."""
    if isinstance(said, bool):
        return said, 0
    limit = said.get("limit") if isinstance(said, dict) and set(said) <= {"limit"} else None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise PlanRefused(name, "_parallel: is true, false, or a mapping with a limit: of at least 1.")
    return True, limit


def _retry(name: str, said: object) -> Retry:
    known = {"limit", "interval", "interval_type"}
    settings = {"limit": said} if isinstance(said, int) else said
    if not isinstance(settings, dict) or not set(settings) <= known:
        raise PlanRefused(name, "_retry: is a number of times, or a mapping with limit:, interval: and interval_type:.")
    limit, interval = settings.get("limit", 0), settings.get("interval", 0)
    if not _is_number(limit, int) or not 0 <= limit <= MOST_TASKS:
        raise PlanRefused(name, f"_retry: is a whole number of times from 0 to {MOST_TASKS}.")
    if not _is_number(interval, int, float) or not 0 <= interval <= LONGEST_WAIT:
        raise PlanRefused(name, f"The interval: of _retry: is a number of seconds from 0 to {LONGEST_WAIT:.0f}.")
    kind = settings.get("interval_type", "constant")
    if kind not in ("constant", "exponential"):
        raise PlanRefused(name, "The interval_type: of _retry: is constant or exponential.")
    return Retry(limit, float(interval), kind == "exponential")


def _is_number(value: object, *types: type) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _after(name: str, suffix: str, config: object, depth: int) -> Spec | None:
    """What `_error` or `_check` runs."""
    return None if config is None else _spec(suffix, name + suffix, config, depth + 1)
