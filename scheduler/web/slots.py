"""What a schedule's timetable says about one session time."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.models import Schedule
from scheduler.timetable import TimetableError


def slot_facts(schedule: Schedule | None, session_time: datetime) -> tuple[datetime, str]:
    """When the session was due to run, and what a change of the clocks did to it (mostly empty)."""
    if schedule is None:
        return session_time, ""
    try:
        timetable = schedule.timetable
    except TimetableError:
        return session_time, ""
    slot = next(timetable.between(session_time, session_time + timedelta(seconds=1)), None)
    return slot.run_time if slot else session_time, timetable.shift(session_time) or ""
