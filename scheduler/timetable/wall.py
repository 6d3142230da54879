"""Time zones as integer arithmetic.

An *instant* is seconds since 1970-01-01T00:00:00Z. A *wall* is what the clock on the wall shows, written as
seconds since 1970-01-01 00:00 on that same wall, whatever its offset: `wall = instant + offset`. All arithmetic
on sessions is done on these two integers, so a walk over thousands of slots asks the zone nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

import tzdata  # type: ignore[import-untyped] # it holds nothing but files

from scheduler.timetable.errors import shown, timezone_error

# Zones are those of the package tzdata, whatever files a machine has of its own: those may be older or newer, and two
# machines would not agree on when a day begins. In the whole process, as Celery's own schedules follow them, too.
# By their folder, as reading all of them as resources of a package takes every process a quarter of a second.
reset_tzpath([str(Path(tzdata.__file__).with_name("zoneinfo"))])
ZoneInfo.clear_cache()

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
DAY = 86_400

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECOND = timedelta(seconds=1)

# Sessions live in [EARLIEST, LATEST): far enough from the ends of the calendar that no offset overflows it.
EARLIEST = (datetime(1, 1, 3, tzinfo=UTC) - EPOCH) // _SECOND
LATEST = (NEVER - EPOCH) // _SECOND

# Finer than the shortest stretch between two changes in any zone (America/Recife 2000: under seven days), so a
# change that is soon taken back is not stepped over.
_PROBE = 3 * DAY
# No offset has ever jumped by more than 24 hours.
_LONGEST_GAP = DAY

_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_NOT_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_LONGEST_ZONE_NAME = 64


def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name; TimetableError({"timezone": ...}) for anything else."""
    if not isinstance(name, str):
        raise timezone_error(f"A time zone is an IANA name such as 'Europe/London', not {shown(name)}.")
    return _known_zone(name) if len(name) <= _LONGEST_ZONE_NAME else _refuse_zone(name)


@lru_cache(maxsize=1024)
def _known_zone(name: str) -> ZoneInfo:
    if name in _NOT_ZONES or not _ZONE_NAME.fullmatch(name) or name not in _zone_names():
        return _refuse_zone(name)
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _refuse_zone(name: str) -> ZoneInfo:
    close = get_close_matches(name[:_LONGEST_ZONE_NAME], _zone_names() - _NOT_ZONES, n=1, cutoff=0.8)
    right = f"did you mean '{close[0]}'?" if close else "use an IANA name such as 'Europe/London'."
    raise timezone_error(f"Unknown time zone {shown(name)}; {right}")


def floor_instant(moment: datetime) -> int:
    """The whole second at or before an aware datetime (a naive one is a TypeError)."""
    return (moment - EPOCH) // _SECOND


def ceil_instant(moment: datetime) -> int:
    """The whole second at or after an aware datetime."""
    return -((EPOCH - moment) // _SECOND)


def as_datetime(instant: int) -> datetime:
    return EPOCH + timedelta(seconds=instant)


def wall_date(wall: int) -> date:
    return date.fromordinal(wall // DAY + _EPOCH_ORDINAL)


def wall_of(day: date) -> int:
    """Midnight of that day on the wall."""
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY


def midnight(day: date, zone_name: str) -> int:
    """The instant at which a local day begins: the earlier of two midnights, and where midnight does not exist
    the same distance after the change."""
    return floor_instant(datetime(day.year, day.month, day.day, tzinfo=zone(zone_name)))


class Gap(NamedTuple):
    """Where local times that do not exist are put: instants [start, end), reached with the offset of before."""

    start: int
    end: int
    before: int


class Segment(NamedTuple):
    """Instants [start, end) with one offset; `after` is the offset from `end` on."""

    start: int
    end: int
    offset: int
    after: int
    gaps: tuple[Gap, ...]


@lru_cache(maxsize=8192)
def year_segments(zone_name: str, year: int) -> tuple[Segment, ...]:
    """The segments of one UTC year, in order; together they cover it, within [EARLIEST, LATEST)."""
    place = zone(zone_name)
    start = max(wall_of(date(year, 1, 1)), EARLIEST)
    end = min(wall_of(date(year + 1, 1, 1)), LATEST)
    changes = list(_changes(place, max(start - _LONGEST_GAP, EARLIEST) - 1, end - 1))
    bounds = [start, *(change.at for change in changes if change.at > start), end]
    gaps = [Gap(at, at + after - before, before) for at, before, after in changes if after > before]
    return tuple(_segment(place, low, high, gaps) for low, high in pairwise(bounds))


def segment_at(zone_name: str, instant: int) -> Segment:
    """The segment that holds an instant of [EARLIEST, LATEST)."""
    segments = year_segments(zone_name, wall_date(instant).year)
    return next(segment for segment in segments if instant < segment.end)


def _segment(place: ZoneInfo, start: int, end: int, gaps: list[Gap]) -> Segment:
    inside = tuple(
        Gap(max(gap.start, start), min(gap.end, end), gap.before) for gap in gaps if gap.start < end and gap.end > start
    )
    return Segment(start, end, _offset(place, start), _offset(place, end), inside)


class _Change(NamedTuple):
    at: int
    before: int
    after: int


def _changes(place: ZoneInfo, low: int, high: int) -> Iterator[_Change]:
    """Every change of offset at an instant in (low, high]."""
    before = _offset(place, low)
    while low < high:
        probe = min(low + _PROBE, high)
        if _offset(place, probe) != before:
            probe = _first_with_other_offset(place, low, probe, before)
            after = _offset(place, probe)
            yield _Change(probe, before, after)
            before = after
        low = probe


def _first_with_other_offset(place: ZoneInfo, low: int, high: int, before: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(place, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(place: ZoneInfo, instant: int) -> int:
    offset = as_datetime(instant).astimezone(place).utcoffset() or timedelta(0)
    return offset // _SECOND
