"""What the files may say. The operators and the rules of time belong to the scheduler, which hands them in."""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_TASKS = 1000
DEEPEST_TASKS = 50

GROUP_DIRECTIVES = ("_export", "_parallel", "_background", "_retry", "_error", "_check")
TASK_DIRECTIVES = ("_export", "_env", "_background", "_retry", "_error", "_check")
ONLY_AT_THE_TOP = ("timezone", "schedule")
TOP_KEYS = (*ONLY_AT_THE_TOP, "_export", "_parallel", "_retry", "_error", "_check")
# Digdag has these. What would not be done is refused, not passed over.
NOT_HERE = frozenset({"sla", "_after", "_disable", "_secrets"})


TextProblems = Callable[[str, str], Iterable[str]]
"""What is wrong with a text that holds `${…}`: the command of the operator that is named, or, "", any other."""


def nothing_wrong(operator: str, config: Mapping[str, Any]) -> Iterable[str]:
    return ()


def takes_any_text() -> TextProblems:
    return lambda operator, text: ()


@dataclass(frozen=True, kw_only=True)
class Language:
    """`operators` maps a name without its `>` to the keys under which it has tasks of its own, such as `_do`.

    The others say what is wrong in sentences: with a time zone's name, with a `schedule:` in a zone, and with a task by
    its operator's name and its whole mapping. `text_problems` makes anew, for each project, what looks at its texts.
    """

    operators: Mapping[str, Collection[str]]
    timezone_problems: Callable[[str], Iterable[str]]
    schedule_problems: Callable[[Mapping[str, Any], str], Iterable[str]]
    task_problems: Callable[[str, Mapping[str, Any]], Iterable[str]] = nothing_wrong
    text_problems: Callable[[], TextProblems] = takes_any_text

    def inner_keys(self) -> set[str]:
        """All keys under which some operator has tasks."""
        return {key for keys in self.operators.values() for key in keys}

    def operators_with(self, key: str = "") -> list[str]:
        """The operators, with their `>`, that have tasks under `key`; under any, without one."""
        return sorted(f"{name}>" for name, keys in self.operators.items() if (key in keys if key else keys))


def closest(word: str, choices: Iterable[str]) -> str:
    """The one of `choices` that `word` was probably meant to be; "" for none."""
    found = difflib.get_close_matches(word[:40].lower(), list(choices), n=1, cutoff=0.6)
    return found[0] if found else ""


def listed(words: Collection[str], last: str = "and") -> str:
    """`a, b and c`."""
    *others, end = words
    return f"{', '.join(others)} {last} {end}" if others else end
