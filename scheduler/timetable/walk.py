"""From local times to instants: the rules of daylight saving, stated once.

A local time that a change of the clock skips, or shows twice, means:

- in a *fixed-time* pattern, exactly one session: skipped, it moves forward by the length of the gap (02:30 becomes
  03:30); shown twice, it is the later instant. Two local times that fall on one instant are one session;
- in an *interval-like* pattern, every real instant that shows it: none when skipped, both when shown twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from heapq import merge
from typing import Protocol

from scheduler.timetable.pattern import Pattern
from scheduler.timetable.wall import DAY, EARLIEST, LATEST, Segment, wall_date, wall_of, year_segments


class Rhythm(Protocol):
    """Something that gives instants."""

    def instants(self, zone_name: str, start: int) -> Iterator[int]:
        """Its instants from `start` on, strictly rising, lazily, within [EARLIEST, LATEST)."""

    def last_before(self, zone_name: str, end: int) -> int | None:
        """Its greatest instant before `end`."""


@dataclass(frozen=True)
class EverySeconds:
    """The multiples of so many seconds since 1970-01-01T00:00:00Z, the same in every zone."""

    seconds: int

    def instants(self, zone_name: str, start: int) -> Iterator[int]:
        first = -(-max(start, EARLIEST) // self.seconds) * self.seconds
        yield from range(first, LATEST, self.seconds)

    def last_before(self, zone_name: str, end: int) -> int | None:
        last = (min(end, LATEST) - 1) // self.seconds * self.seconds
        return last if last >= EARLIEST else None


@dataclass(frozen=True)
class LocalTimes:
    """The instants at which a zone's clocks show what a pattern asks for."""

    pattern: Pattern

    def instants(self, zone_name: str, start: int) -> Iterator[int]:
        start = max(start, EARLIEST)
        year: int | None = wall_date(min(start, LATEST)).year
        while year is not None and year < wall_date(LATEST).year:
            for segment in year_segments(zone_name, year):
                if start < segment.end:
                    yield from _instants_of(self.pattern, segment, max(start, segment.start))
            year = self._next_year_with_sessions(year)

    def last_before(self, zone_name: str, end: int) -> int | None:
        end = min(end, LATEST)
        reach = 3600
        while True:
            found = None
            for instant in self.instants(zone_name, end - reach):
                if instant >= end:
                    break
                found = instant
            if found is not None or end - reach <= EARLIEST:
                return found
            reach *= 8

    def _next_year_with_sessions(self, year: int) -> int | None:
        # An instant is less than a day away from its wall, hence the two margins.
        wall = self.pattern.first_wall(wall_of(date(year + 1, 1, 1)) - DAY)
        return None if wall is None else max(year + 1, wall_date(wall - DAY).year)


def _instants_of(pattern: Pattern, segment: Segment, start: int) -> Iterator[int]:
    if pattern.fixed:
        return _fixed(pattern, segment, start)
    return _shown(pattern, segment, start, segment.end + segment.offset)


def _shown(pattern: Pattern, segment: Segment, start: int, wall_end: int) -> Iterator[int]:
    offset = segment.offset
    for wall in pattern.walls(start + offset, wall_end):
        yield wall - offset


def _fixed(pattern: Pattern, segment: Segment, start: int) -> Iterator[int]:
    # Walls that the next segment shows again belong to it: the later instant counts.
    shown = _shown(pattern, segment, start, segment.end + min(segment.offset, segment.after))
    if not segment.gaps:
        return shown
    skipped = (
        wall - gap.before
        for gap in segment.gaps
        for wall in pattern.walls(max(start, gap.start) + gap.before, gap.end + gap.before)
    )
    return _without_repeats(merge(shown, sorted(skipped)))


def _without_repeats(rising: Iterator[int]) -> Iterator[int]:
    last = None
    for instant in rising:
        if instant != last:
            yield instant
        last = instant
