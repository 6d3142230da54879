"""Which session a moment belongs to: cut to the hour, to the day, or to the sessions of the workflow's schedule."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from projects.models import WorkflowDefinition
from scheduler.errors import InvalidInput
from scheduler.timetable import Slot, Timetable, TimetableError, parse_schedule, zone


def truncated(definition: WorkflowDefinition, at: datetime, mode: str) -> datetime:
    """The session time for `at`, which is local to the workflow's zone when it has no offset.

    `hour` and `day` cut the local time. Of the schedule's sessions, `schedule` gives the first that runs then or later,
    `next_schedule` the first after it, `last_schedule` the last at or before it. Without a mode it is the time itself.
    The first two are Digdag's (WorkflowResource). Raises InvalidInput naming `session_time` or `mode`.
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
        return _midnight(hour, moment) if mode == "day" else hour
    try:
        slot = _slot(_timetable(definition), moment, mode)
    except (TimetableError, OverflowError):
        slot = None
    if slot is None:
        raise InvalidInput({"session_time": ["The schedule has no session there."]})
    return slot.session_time


def _midnight(hour: datetime, moment: datetime) -> datetime:
    """Of a midnight that occurs twice, the later one, once it has come: a daily session is for that, too."""
    first, second = hour.replace(hour=0, fold=0), hour.replace(hour=0, fold=1)
    # Of one that the clocks skip, the second reading is before the first: it is of the day before.
    return second if first.astimezone(UTC) < second.astimezone(UTC) <= moment else first


def _slot(timetable: Timetable, moment: datetime, mode: str) -> Slot | None:
    if mode == "schedule":
        return timetable.first(moment)
    return timetable.next(moment) if mode == "next_schedule" else timetable.previous(moment + timedelta(seconds=1))


def _timetable(definition: WorkflowDefinition) -> Timetable:
    schedule = definition.document.get("schedule")
    if not schedule:
        raise InvalidInput({"mode": ["The workflow has no schedule, whose session could be taken."]})
    return parse_schedule(schedule, definition.timezone).timetable
