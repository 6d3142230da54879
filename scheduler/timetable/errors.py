"""The one way in which a timetable is refused."""

from __future__ import annotations

from scheduler.errors import InvalidInput


class TimetableError(InvalidInput):
    """These values are not a timetable: `errors` is {"schedule": [...]} or {"timezone": [...]}."""


def schedule_error(message: str) -> TimetableError:
    return TimetableError({"schedule": [message]})


def timezone_error(message: str) -> TimetableError:
    return TimetableError({"timezone": [message]})


def shown(value: object, limit: int = 40) -> str:
    """What somebody wrote, quoted, escaped and short enough to repeat in a message."""
    text = repr(value) if isinstance(value, str) else f"{type(value).__name__} {value!r}"
    return text if len(text) <= limit else text[: limit - 1] + "…"
