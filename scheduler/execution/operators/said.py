"""What a document says to a task beside its operator: checked when it is pushed as far as it is plain, and all of it
when the task runs.

A setting stands beside the operator, or in the mapping that `_export` has under the operator's own name (`mail:`),
for all tasks inside. Parameters of an attempt and results of tasks are none: who may start a workflow does not thereby
say whom it writes to.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from projects.dig.language import closest, listed
from scheduler.execution.operators.base import Context, TaskFailed
from scheduler.execution.template import as_text, render_all

Problem = str
Rule = Callable[[Any], Problem]
"""What is wrong with a value, as the end of a sentence that begins with the setting's name; "" for nothing."""

Rules = Mapping[str, Rule]
# Control characters, what some readers take for a line break, and halves of surrogate pairs.
NO_LINE = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Said:
    """The settings of a task of `operator`, by `rules` for each name."""

    operator: str
    rules: Rules

    def problems(self, config: Mapping[str, Any]) -> Iterator[str]:
        """A sentence each about a task's mapping, before it runs."""
        for name, value in own(config).items():
            if name not in self.rules:
                yield self._unknown(name)
            elif not has_template(value) and (problem := self.rules[name](value)):
                yield f"{name}: {problem}"

    def of(self, task: Context) -> "Values":
        """Raises TaskFailed for a name that is no setting."""
        values = {**task.section(self.operator), **own(task.config)}
        for name in values:
            if name not in self.rules:
                raise TaskFailed(self._unknown(name))
        return Values(task, values, self.rules)

    def _unknown(self, name: str) -> str:
        found = closest(name, self.rules)
        known = listed([f"{rule}:" for rule in sorted(self.rules)])
        hint = f"did you mean {found}:?" if found else f"there are {known}; variables go under _export:."
        return f"{name[:100]}: is no setting of {self.operator}>; {hint}"


class Values:
    """Settings of a task at work, `${…}` replaced and every value checked. All raise TaskFailed and TemplateError."""

    def __init__(self, task: Context, values: Mapping[str, Any], rules: Rules) -> None:
        self._task = task
        self._values = values
        self._rules = rules

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def is_private(self, name: str) -> bool:
        """Is a secret in it?"""
        return holds_secret(self._values.get(name))

    def raw(self, name: str) -> Any:
        return self._values.get(name)

    def value(self, name: str, default: Any = None) -> Any:
        """Where no secret may stand."""
        return self._checked(name, lambda value: render_all(value, self._task.variables.__getitem__), default)

    def revealed(self, name: str, default: Any = None) -> Any:
        """Where `${secret:…}` may stand."""
        return self._checked(name, lambda value: revealed(self._task, value), default)

    def flag(self, name: str, default: bool) -> bool:
        return str(self.value(name, default)).lower() == "true"

    def text(self, name: str, default: str = "") -> str:
        return as_text(self.value(name, default))

    def number(self, name: str, default: float) -> float:
        return float(self.value(name, default))

    def texts(self, name: str) -> list[str]:
        """One, or a list."""
        value = self.value(name, [])
        return list(map(as_text, value)) if isinstance(value, list) else [as_text(value)]

    def _checked(self, name: str, rendered: Callable[[Any], Any], default: Any) -> Any:
        if name not in self:
            return default
        value = rendered(self._values[name])
        if problem := self._rules[name](value):
            raise TaskFailed(f"{name}: {problem}")
        return value


def own(config: Mapping[str, Any]) -> dict[str, Any]:
    """A task's keys beside its operator and the directives."""
    return {key: value for key, value in config.items() if not key.endswith(">") and key[:1] not in ("_", "+")}


def revealed(task: Context, value: Any) -> Any:
    """A JSON value with every `${…}` in its texts replaced, secrets too. Keys stay as they are."""
    if isinstance(value, str):
        return task.revealed(value)
    if isinstance(value, Mapping):
        return {key: revealed(task, item) for key, item in value.items()}
    if isinstance(value, list):
        return [revealed(task, item) for item in value]
    return value


def has_template(value: Any) -> bool:
    return _somewhere("${", value)


def holds_secret(value: Any) -> bool:
    return _somewhere("${secret:", value)


def _somewhere(piece: str, value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_somewhere(piece, item) for item in value.values())
    if isinstance(value, list):
        return any(_somewhere(piece, item) for item in value)
    return isinstance(value, str) and piece in value


# --- rules -----------------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """A value for a message: never more than a little of it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(as_text(value)[:50]) if value is not None else "nothing"


def is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def anything(value: Any) -> Problem:
    return ""


def flag(value: Any) -> Problem:
    return "" if str(value).lower() in ("true", "false") else f"is true or false, not {shown(value)}."


def one_line(value: Any) -> Problem:
    """A line break would begin a header of somebody else's."""
    if not is_scalar(value):
        return f"is a text, not {shown(value)}."
    return "has a line break or another control character in it." if NO_LINE.search(str(value)) else ""


def one_of(*choices: str) -> Rule:
    def check(value: Any) -> Problem:
        if isinstance(value, str) and value.lower() in map(str.lower, choices):
            return ""
        return f"is {listed(choices, 'or')}, not {shown(value)}."

    return check


def number(least: float, most: float, unit: str) -> Rule:
    """`least` itself is too little."""

    def check(value: Any) -> Problem:
        try:
            fits = not isinstance(value, bool) and least < float(value) <= most
        except (TypeError, ValueError):
            fits = False
        return "" if fits else f"is {unit} above {least:g} and up to {most:g}, not {shown(value)}."

    return check
