"""Which session a moment belongs to: cut to the hour, to the day, or to the sessions of the workflow's schedule."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from projects.models import WorkflowDefinition
from scheduler.errors import InvalidInput
from scheduler.timetable import Timetable, TimetableError, parse_schedule, zone


def truncated(definition: WorkflowDefinition, at: datetime, mode: str) -> datetime:
    """The session time for `at`, which is local to the workflow's zone when it has no offset.

    `hour` and `day` cut the local time; `schedule` gives the last session at or before it, `next_schedule` the first
    one after it; without a mode it is the time itself. Raises InvalidInput naming `session_time` or `mode`.
    """
    place = zone(definition.timezone)
    moment = at if at.tzinfo else at.replace(tzinfo=place)
    try:
        found = _truncated(definition, moment, place, mode)
        found.astimezone(place).astimezone(UTC)
    except OverflowError:
        raise InvalidInput({"session_time": ["Give a time between the years 1 and 9999."]}) from None
    return found


def _truncated(definition: WorkflowDefinition, moment: datetime, place: ZoneInfo, mode: str) -> datetime:
    if not mode:
        return moment
    if mode in ("hour", "day"):
        hour = moment.astimezone(place).replace(minute=0, second=0, microsecond=0)
        return hour.replace(hour=0) if mode == "day" else hour
    timetable = _timetable(definition, mode)
    try:
        slot = timetable.next(moment) if mode == "next_schedule" else timetable.previous(moment + timedelta(seconds=1))
    except (TimetableError, OverflowError):
        slot = None
    if slot is None:
        raise InvalidInput({"session_time": ["The schedule has no session there."]})
    return slot.session_time


def _timetable(definition: WorkflowDefinition, mode: str) -> Timetable:
    schedule = definition.document.get("schedule")
    if not schedule:
        raise InvalidInput({"mode": [f"The workflow has no schedule, which the mode {mode} needs."]})
    return parse_schedule(schedule, definition.timezone).timetable
