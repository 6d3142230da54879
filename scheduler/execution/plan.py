"""A workflow's document as a tree of tasks, before any of them ran. PURE.

The words are Digdag's: `+name` is a task, an operator (`sh>`) says what it does, a mapping of tasks is a group, and a
directive (`_retry`) says how. Tasks that come up while the attempt runs (`loop>`, `_error`) are read by `part`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from projects.dig import directive_problems
from projects.dig.language import DEEPEST_TASKS, GROUP_DIRECTIVES, MOST_TASKS, ONLY_AT_THE_TOP, TASK_DIRECTIVES
from scheduler.errors import HindcastError
from scheduler.execution import storable
from scheduler.execution.operators import COMPUTED_GROUP, OPERATORS


class PlanRefused(HindcastError):  # noqa: N818 - named as the fact
    """The document cannot be run. `task` is the full name of the task that is wrong."""

    def __init__(self, task: str, message: str) -> None:
        super().__init__(message)
        self.task = task


@dataclass(frozen=True, slots=True)
class Retry:
    """`_retry`: at most `limit` more times, `interval` seconds apart, doubling up to `longest` when `exponential`."""

    limit: int
    interval: float = 0.0
    exponential: bool = False
    longest: float | None = None

    def wait(self, retries: int) -> float:
        """Seconds before the next time, when it was run again `retries` times already."""
        longest = LONGEST_WAIT if self.longest is None and self.exponential else self.longest
        wait = self.interval * 2 ** min(retries, MOST_DOUBLINGS) if self.exponential else self.interval
        return wait if longest is None else min(wait, longest)


LONGEST_WAIT = 24 * 3600.0  # of one that doubles, unless `max_interval` says otherwise
MOST_DOUBLINGS = 40
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

    def repeated(self, names: Iterable[str]) -> "Spec":
        """The group with its only child under each of these names; what is inside that one is there once."""
        (child,) = self.children
        children = tuple(replace(child, name=name) for name in names)
        return replace(self, children=children, size=1 + child.size * len(children))

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
    root = {key: value for key, value in storable.json_value(document).items() if key not in ONLY_AT_THE_TOP}
    full_name = f"+{storable.text(name)}"
    spec = _spec(full_name, full_name, root, 0)
    if spec.size - 1 > MOST_TASKS:  # the workflow itself is none
        raise PlanRefused(full_name, f"There are {spec.size - 1} tasks; {MOST_TASKS} is the most.")
    return spec


def part(name: str, config: Mapping[str, Any], *, parent: str, depth: int) -> Spec:
    """Tasks that came up inside the running task `parent`, whose full name is given, as one task or group `name`.

    Raises PlanRefused.
    """
    return _spec(name, parent + name, storable.json_value(config), depth)


def _spec(name: str, full_name: str, config: object, depth: int) -> Spec:
    if not isinstance(config, dict):
        raise PlanRefused(full_name, "A task is a mapping with an operator, such as echo>, or with tasks inside it.")
    if depth > DEEPEST_TASKS:
        raise PlanRefused(full_name, f"Tasks are nested more than {DEEPEST_TASKS} deep.")
    operator = _operator(full_name, config)
    if not operator and _is_computed(config.get("_parallel")):
        operator, config = COMPUTED_GROUP, _computed_group(config)
    children = tuple(
        _spec(key, full_name + key, value, depth + 1) for key, value in config.items() if key.startswith("+")
    )
    parallel, limit = _parallel(config.get("_parallel", False))
    return Spec(
        name=name,
        config={key: value for key, value in config.items() if not key.startswith("+")},
        operator=operator,
        children=children,
        retry=_retry(config.get("_retry", 0)),
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
        there = ", ".join(f"{other}>" for other in OPERATORS if other != COMPUTED_GROUP)
        raise PlanRefused(name, f"There is no operator {operator}>; there are {there}.")
    _check_keys(name, operator, config)
    return operator


def _check_keys(name: str, operator: str, config: Mapping[str, Any]) -> None:
    allowed = _directives(operator)
    for key in config:
        if key.startswith("_") and key not in allowed:
            raise PlanRefused(name, f"The directive {key}: is not supported{f' by {operator}>' if operator else ''}.")
        if not operator and not key.startswith(("+", "_")):
            raise PlanRefused(name, f"A group of tasks has no {key}: setting.")
        for problem in directive_problems(key, config[key]):
            raise PlanRefused(name, problem)


def _directives(operator: str) -> set[str]:
    if not operator:
        return set(GROUP_DIRECTIVES)
    inside = OPERATORS[operator].inside
    left_out = () if OPERATORS[operator].takes_env else ("_env",)
    return {*TASK_DIRECTIVES, *inside, *(("_parallel",) if inside else ())} - set(left_out)


def _is_computed(parallel: object) -> bool:
    """A `${…}` says whether, or how many, once the group starts."""
    said = parallel.get("limit") if isinstance(parallel, dict) else parallel
    return isinstance(said, str)


def _computed_group(config: Mapping[str, Any]) -> dict[str, Any]:
    """The group as a task that makes what it holds."""
    inside = {key: value for key, value in config.items() if key.startswith("+")}
    rest = {key: value for key, value in config.items() if not key.startswith("+") and key != "_parallel"}
    return {**rest, f"{COMPUTED_GROUP}>": {"_parallel": config["_parallel"], **inside}}


def _parallel(said: object) -> tuple[bool, int]:
    """Whether, and how many at most; of a loop it is for the loop to say."""
    if isinstance(said, dict) and not _is_computed(said):
        return True, said["limit"]
    return said is True, 0


def _retry(said: object) -> Retry:
    settings: dict[str, Any] = said if isinstance(said, dict) else {"limit": said}
    return Retry(
        settings["limit"],
        float(settings.get("interval", 0)),
        settings.get("interval_type") == "exponential",
        settings.get("max_interval"),
    )


def _after(name: str, suffix: str, config: object, depth: int) -> Spec | None:
    """What `_error` or `_check` runs."""
    return None if config is None else _spec(suffix, name + suffix, config, depth + 1)
