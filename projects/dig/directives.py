"""What may stand beside `_export:`, `_retry:` and the other directives that do not hold tasks.

The reader asks with what a file says, and whoever runs a workflow with plain values, some of which came up as it ran.
"""

import re
from collections.abc import Callable
from typing import Any

from projects.dig.nodes import Mapping, Node, Scalar, of_plain, shown
from projects.dig.problems import Place, Problems, short

NOWHERE = Place("")
MOST = 2**31 - 1  # as in Digdag
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTERVAL_TYPES = ("constant", "exponential")
_RETRY_KEYS = ("limit", "interval", "max_interval", "interval_type")

Check = Callable[[str, Place, Node, Problems], None]
"""Notes what is wrong with the value of a directive, whose name and place are given."""


def directive_problems(key: str, value: Any) -> list[str]:
    """What is wrong with the plain value of a directive, a sentence each."""
    problems = Problems()
    if key in CHECKS:
        CHECKS[key](key, NOWHERE, of_plain(value, NOWHERE), problems)
    return [problem.message for problem in problems.in_order()]


def _export(key: str, place: Place, value: Node, problems: Problems) -> None:
    if not isinstance(value, Mapping):
        problems.add(
            place,
            f"{key}: takes variables with their values, such as 'limit: 10' in the next line, not {shown(value)}.",
        )


def _env(key: str, place: Place, value: Node, problems: Problems) -> None:
    if not isinstance(value, Mapping):
        problems.add(place, f"{key}: takes variables of the environment with their texts, not {shown(value)}.")
        return
    for name, entry in value.entries.items():
        if not _VARIABLE.fullmatch(name):
            problems.add(
                entry.place, f"'{short(name)}' is not a name of the environment; it has letters, digits and _."
            )
        elif not isinstance(entry.value, Scalar) or entry.value.value is None:
            problems.add(entry.place, f"{short(name)}: in {key}: takes a text, not {shown(entry.value)}.")


def _background(key: str, place: Place, value: Node, problems: Problems) -> None:
    if not _is_boolean(value):
        problems.add(place, f"{key}: is true or false, not {shown(value)}.")


def _parallel(key: str, place: Place, value: Node, problems: Problems) -> None:
    if _is_boolean(value) or _is_computed(value):
        return
    if not isinstance(value, Mapping):
        problems.add(place, f"{key}: is true, false or, to limit it, {{limit: 2}}, not {shown(value)}.")
        return
    _refuse_others(key, value, ("limit",), problems)
    if "limit" not in value or not _is_computed(value["limit"]):
        _check_number(key, place, value, "limit", 1, problems)


def _retry(key: str, place: Place, value: Node, problems: Problems) -> None:
    if isinstance(value, Mapping):
        _refuse_others(key, value, _RETRY_KEYS, problems)
        _check_number(key, place, value, "limit", 0, problems)
        for name in ("interval", "max_interval"):
            if name in value:
                _check_number(key, place, value, name, 0, problems)
        _check_interval_type(key, value, problems)
    elif not _is_number(value, 0):
        problems.add(
            place, f"{key}: is a number of retries, such as 3, or {{limit: 3, interval: 10}}, not {shown(value)}."
        )


def _check_interval_type(key: str, value: Mapping, problems: Problems) -> None:
    kind = value.get("interval_type")
    if kind is not None and (not isinstance(kind, Scalar) or kind.value not in _INTERVAL_TYPES):
        problems.add(
            value.place_of("interval_type"),
            f"interval_type: in {key}: is {' or '.join(_INTERVAL_TYPES)}, not {shown(kind)}.",
        )


def _refuse_others(key: str, value: Mapping, known: tuple[str, ...], problems: Problems) -> None:
    for name in value:
        if name not in known:
            keys = ", ".join(f"{word}:" for word in known)
            problems.add(value.place_of(name), f"There is no {short(name)}: in {key}:; it takes {keys}.")


def _check_number(key: str, place: Place, value: Mapping, name: str, least: int, problems: Problems) -> None:
    if name not in value:
        if value.complete:
            problems.add(place, f"{key}: has no {name}:; it takes a number, such as '{name}: 3'.")
    elif not _is_number(value[name], least):
        problems.add(
            value.place_of(name), f"{name}: in {key}: is a whole number from {least} on, not {shown(value[name])}."
        )


def _is_boolean(value: Node) -> bool:
    return isinstance(value, Scalar) and isinstance(value.value, bool)


def _is_computed(value: Node) -> bool:
    """A `${…}` says when the task starts."""
    return isinstance(value, Scalar) and isinstance(value.value, str) and "${" in value.value


def _is_number(value: Node, least: int) -> bool:
    number = value.value if isinstance(value, Scalar) else None
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= MOST


CHECKS: dict[str, Check] = {
    "_export": _export,
    "_env": _env,
    "_background": _background,
    "_parallel": _parallel,
    "_retry": _retry,
}
