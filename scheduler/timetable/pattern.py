"""What a cron expression asks of the clock on the wall, as sets that can be walked."""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from datetime import MAXYEAR
from functools import lru_cache

from scheduler.timetable.wall import DAY, wall_date, wall_of

# One set of numbers for all patterns: thousands of them are kept, some with all 1,440 times.
_TIMES = tuple(range(0, DAY, 60))


class Pattern:
    """Local times on local days. Day of month AND day of week must both match.

    `fixed` says which rule of daylight saving holds: a fixed-time pattern has one session for each local time
    asked for, an interval-like one has every real instant whose local time matches.
    """

    def __init__(
        self,
        *,
        minutes: frozenset[int],
        hours: frozenset[int],
        days: frozenset[int],
        last_day: bool,
        months: frozenset[int],
        weekdays: frozenset[int],
        fixed: bool,
    ) -> None:
        self.times = tuple(_TIMES[hour * 60 + minute] for hour in sorted(hours) for minute in sorted(minutes))
        self.days = tuple(sorted(days))
        self.last_day = last_day
        self.months = tuple(sorted(months))
        self.weekdays = weekdays  # 0 is Sunday
        self.fixed = fixed

    def walls(self, start: int, end: int) -> Iterator[int]:
        """The matching walls in [start, end), rising."""
        if start >= end:
            return
        times = self.times
        for midnight in self._midnights(start // DAY * DAY):
            if midnight >= end:
                return
            first = bisect_left(times, start - midnight) if midnight < start else 0
            last = bisect_left(times, end - midnight) if end - midnight < DAY else len(times)
            for index in range(first, last):
                yield midnight + times[index]

    def first_wall(self, start: int) -> int | None:
        """The first matching wall at or after `start`; None when the calendar ends first."""
        return next(self.walls(start, wall_of(wall_date(start).replace(year=MAXYEAR, month=12, day=31))), None)

    def matches(self, wall: int) -> bool:
        return next(self.walls(wall, wall + 1), None) is not None

    def _midnights(self, start: int) -> Iterator[int]:
        """The walls at which matching days begin, from `start` (a midnight) on."""
        first = wall_date(start)
        for year in range(first.year, MAXYEAR + 1):
            for month in self.months:
                if year == first.year and month < first.month:
                    continue
                begin, weekday, length = _month(year, month)
                for day in self._days_of_month(weekday, length):
                    midnight = begin + (day - 1) * DAY
                    if midnight >= start:
                        yield midnight

    def _days_of_month(self, first_weekday: int, length: int) -> Iterator[int]:
        days = self.days
        if self.last_day and length not in days:
            days = tuple(sorted({*days, length}))
        for day in days:
            if day <= length and (first_weekday + day - 1) % 7 in self.weekdays:
                yield day


@lru_cache(maxsize=4096)
def _month(year: int, month: int) -> tuple[int, int, int]:
    """The wall of its first midnight, the weekday of its first day (0 is Sunday), and its length in days."""
    weekday, length = monthrange(year, month)
    first = wall_of(wall_date(0).replace(year=year, month=month, day=1))
    return first, (weekday + 1) % 7, length
