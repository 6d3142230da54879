"""When things run: session times by kind and time zone, the only place that knows croniter and daylight saving."""

from scheduler.timetable.errors import TimetableError
from scheduler.timetable.kinds import Kind
from scheduler.timetable.spec import ScheduleSpec, parse_schedule
from scheduler.timetable.timetable import Slot, Timetable
from scheduler.timetable.wall import NEVER, zone

__all__ = [
    "NEVER",
    "Kind",
    "ScheduleSpec",
    "Slot",
    "Timetable",
    "TimetableError",
    "parse_schedule",
    "zone",
]
