"""The seven kinds of timetable, and how the text of each is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from scheduler.timetable.cron import parse_cron
from scheduler.timetable.errors import schedule_error, shown
from scheduler.timetable.walk import EverySeconds, LocalTimes, Rhythm

LONGEST_INTERVAL_SECONDS = 366 * 86_400


class Kind(str, Enum):  # noqa: UP042 - the value itself is what is stored and written
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    MINUTES = "minutes_interval"
    SECONDS = "seconds_interval"
    CRON = "cron"


@dataclass(frozen=True)
class Plan:
    """A kind and its text, read: the session times, and the seconds from each to its run time."""

    rhythm: Rhythm
    delay: int
    description: str
    """Without the zone; `places` says whether the zone belongs to the sentence."""
    places: bool = False


@lru_cache(maxsize=4096)
def plan_of(kind: Kind, expression: str) -> Plan:
    """Read the text of one kind; TimetableError says what is wrong and what would be right."""
    return _READERS[kind](expression)


def _hourly(text: str) -> Plan:
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{1,2})", text.strip())
    if match is None or int(match[1]) > 59 or int(match[2]) > 59:
        raise schedule_error(f"hourly>: takes MM:SS, such as '30:00', not {shown(text)}.")
    minutes, seconds = int(match[1]), int(match[2])
    at = f"{minutes:02}:{seconds:02}" if seconds else f"{minutes:02}"
    return Plan(_local("0 * * * *"), minutes * 60 + seconds, f"hourly at minute {at}")


def _daily(text: str) -> Plan:
    delay = _clock(text, text, "daily>: takes HH:MM:SS, such as '07:00:00'")
    return Plan(_local("0 0 * * *"), delay, f"daily at {_time(delay)}", places=True)


def _weekly(text: str) -> Plan:
    expected = "weekly>: takes a day and HH:MM:SS, such as 'Sun,07:00:00' (Sun to Sat, or 0 to 7)"
    day, _, time = text.partition(",")
    number = _weekday(day.strip())
    if number is None:
        raise schedule_error(f"{expected}, not {shown(text)}.")
    delay = _clock(time, text, expected)
    return Plan(_local(f"0 0 * * {number}"), delay, f"weekly on {_DAYS[number]} at {_time(delay)}", places=True)


def _monthly(text: str) -> Plan:
    expected = "monthly>: takes a day of the month and HH:MM:SS, such as '1,07:00:00'"
    day, _, time = text.partition(",")
    if not re.fullmatch(r"[0-9]{1,2}", day.strip()) or not 1 <= int(day) <= 31:
        raise schedule_error(f"{expected}, not {shown(text)}.")
    delay = _clock(time, text, expected)
    return Plan(_local(f"0 0 {int(day)} * *"), delay, f"monthly on day {int(day)} at {_time(delay)}", places=True)


def _minutes(text: str) -> Plan:
    minutes = _whole_number(text)
    if minutes is None or not 1 <= minutes <= 60:
        raise schedule_error(
            "minutes_interval>: takes a number of minutes from 1 to 60 (it starts again every hour), "
            f"such as '5', not {shown(text)}."
        )
    return Plan(_local(f"*/{minutes} * * * *"), 0, _every(minutes, "minute"))


def _seconds(text: str) -> Plan:
    seconds = _whole_number(text)
    if seconds is None or not 1 <= seconds <= LONGEST_INTERVAL_SECONDS:
        raise schedule_error(
            f"seconds_interval>: takes a number of seconds from 1 to {LONGEST_INTERVAL_SECONDS}, "
            f"such as '30', not {shown(text)}."
        )
    return Plan(EverySeconds(seconds), 0, _every(seconds, "second"))


def _cron(text: str) -> Plan:
    return Plan(_local(text), 0, f"cron {' '.join(text.split())}")


_READERS = {
    Kind.HOURLY: _hourly,
    Kind.DAILY: _daily,
    Kind.WEEKLY: _weekly,
    Kind.MONTHLY: _monthly,
    Kind.MINUTES: _minutes,
    Kind.SECONDS: _seconds,
    Kind.CRON: _cron,
}
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def _local(cron: str) -> LocalTimes:
    return LocalTimes(parse_cron(cron))


def _weekday(day: str) -> int | None:
    if re.fullmatch(r"[0-7]", day):
        return int(day) % 7
    return next((index for index, name in enumerate(_DAYS) if name[:3].lower() == day.lower()), None)


def _clock(time: str, text: str, expected: str) -> int:
    """Seconds of HH:MM:SS. Hours may pass 23, as in Digdag: 25:00:00 runs at 01:00 the day after."""
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})", time.strip())
    if match is None or int(match[2]) > 59 or int(match[3]) > 59:
        raise schedule_error(f"{expected}, not {shown(text)}.")
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])


def _time(delay: int) -> str:
    days, seconds = divmod(delay, 86_400)
    time = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"
    time += f":{seconds % 60:02}" if seconds % 60 else ""
    return f"{time} {days} day{'s' if days > 1 else ''} later" if days else time


def _whole_number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text.strip()) else None


def _every(number: int, unit: str) -> str:
    return f"every {unit}" if number == 1 else f"every {number} {unit}s"
