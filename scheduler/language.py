"""The language of `.dig` files, as this installation speaks it: its operators, and the rules of time."""

from collections.abc import Iterable, Mapping
from typing import Any

from projects.dig import Language
from projects.dig.language import listed
from scheduler.execution.mistakes import Mistakes
from scheduler.execution.operators import COMPUTED_GROUP, OPERATORS
from scheduler.timetable import TimetableError, parse_schedule, zone


def timezone_problems(name: str) -> list[str]:
    """What is wrong with a time zone, a sentence each."""
    try:
        zone(name)
    except TimetableError as refusal:
        return refusal.errors["timezone"]
    return []


def schedule_problems(config: Mapping[str, Any], timezone: str) -> list[str]:
    """What is wrong with a `schedule:` in a zone that exists, a sentence each."""
    try:
        parse_schedule(config, timezone)
    except TimetableError as refusal:
        return [sentence for sentences in refusal.errors.values() for sentence in sentences]
    return []


def task_problems(operator: str, config: Mapping[str, Any]) -> Iterable[str]:
    """What an operator sees to be wrong in a task before it runs, a sentence each."""
    if "_env" in config and not OPERATORS[operator].takes_env:
        takes = listed([f"{name}>" for name, other in OPERATORS.items() if other.takes_env])
        yield f"_env: belongs to {takes}, not to {operator}>."
    yield from OPERATORS[operator].check(config)


LANGUAGE = Language(
    operators={name: operator.inside for name, operator in OPERATORS.items() if name != COMPUTED_GROUP},
    timezone_problems=timezone_problems,
    schedule_problems=schedule_problems,
    task_problems=task_problems,
    text_problems=Mistakes,
)
