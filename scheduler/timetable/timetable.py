"""A timetable: kind, text, time zone, start and end. Pure arithmetic; nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduler.timetable.clock_change import note
from scheduler.timetable.errors import schedule_error, shown
from scheduler.timetable.kinds import Kind, Plan, plan_of
from scheduler.timetable.wall import (
    EARLIEST,
    LATEST,
    NEVER,
    as_datetime,
    ceil_instant,
    floor_instant,
    midnight,
    zone,
)

LONGEST_DELAY_SECONDS = 366 * 86_400


class Slot(NamedTuple):
    """One session and when it runs; both are aware UTC."""

    session_time: datetime
    run_time: datetime


@dataclass(frozen=True)
class Timetable:
    """Session times of one schedule.

    `expression` is the text after the kind, as in a workflow file: "07:00:00", "Sun,07:00:00", "*/5 * * * *", "30".
    `timezone` is an IANA name. `delay` (cron only) is the seconds from session time to run time; hourly, daily,
    weekly and monthly take theirs from the text. It is a fixed number of real seconds, so the wall clock of a run
    moves on a day on which the clocks change. `start_date` and `end_date` are local days, both included, compared
    with the *run* time. seconds_interval gives the multiples of its seconds since 1970-01-01T00:00:00Z.

    Building one from values that are not a timetable raises TimetableError. All moments handed in are aware.
    """

    kind: Kind
    expression: str
    timezone: str
    delay: int = 0
    start_date: date | None = None
    end_date: date | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", _kind(self.kind))
        if not isinstance(self.expression, str):
            raise schedule_error(f"{self.kind.value}>: takes text, not {shown(self.expression)}.")
        zone(self.timezone)
        plan_of(self.kind, self.expression)
        _check_delay(self.kind, self.delay)
        _check_dates(self.start_date, self.end_date)

    def first(self, at: datetime) -> Slot | None:
        """The earliest slot whose RUN time is at or after `at`; None when there is never one again."""
        return self._first_from(ceil_instant(at) - self._run_delay)

    def next(self, session_time: datetime) -> Slot | None:
        """The first slot with a session time after `session_time`; None when there is never one again."""
        return self._first_from(floor_instant(session_time) + 1)

    def previous(self, session_time: datetime) -> Slot | None:
        """The slot with the greatest session time before `session_time`. Ignores start and end."""
        instant = self._plan.rhythm.last_before(self.timezone, ceil_instant(session_time))
        return None if instant is None else self._slot(instant)

    def between(self, from_time: datetime, until: datetime | None) -> Iterator[Slot]:
        """Lazily, the slots with a session time in [from_time, until), rising; None is no bound but the end date."""
        end = LATEST if until is None else ceil_instant(until)
        for instant in self._instants(ceil_instant(from_time)):
            if instant >= end:
                return
            yield self._slot(instant)

    def describe(self) -> str:
        """One short phrase for people: "daily at 07:00 Asia/Tokyo", "every 5 minutes", "cron 0 3 * * 1"."""
        text = self._plan.description
        if self._plan.places:
            text = f"{text} {self.timezone}"
        return f"{text}, {self.delay} s later" if self.delay else text

    def local(self, instant: datetime) -> datetime:
        """The same instant as the clocks of the timetable's zone show it (in the last hours of the calendar, where
        that may have no date, the instant as it came)."""
        try:
            return instant.astimezone(zone(self.timezone))
        except OverflowError:
            return instant

    def shift(self, session_time: datetime) -> str | None:
        """For people: what a change of the clocks does to this session or its run, else None."""
        rhythm, delay = self._plan.rhythm, self._run_delay
        return note(rhythm=rhythm, zone_name=self.timezone, instant=floor_instant(session_time), delay=delay)

    @property
    def _plan(self) -> Plan:
        return plan_of(self.kind, self.expression)

    @property
    def _run_delay(self) -> int:
        return self._plan.delay + self.delay

    def _first_from(self, instant: int) -> Slot | None:
        found = next(self._instants(instant), None)
        return None if found is None else self._slot(found)

    def _instants(self, start: int) -> Iterator[int]:
        delay = self._run_delay
        first_run, runs_end = _bounds(self.timezone, self.start_date, self.end_date)
        for instant in self._plan.rhythm.instants(self.timezone, max(start, first_run - delay)):
            if instant + delay >= runs_end:
                return
            yield instant

    def _slot(self, instant: int) -> Slot:
        session_time = as_datetime(instant)
        delay = self._run_delay
        return Slot(session_time, session_time + timedelta(seconds=delay) if delay else session_time)


def _kind(value: object) -> Kind:
    try:
        return Kind(value)
    except ValueError:
        kinds = ", ".join(kind.value for kind in Kind)
        raise schedule_error(f"Unknown kind of schedule {shown(value)}; there are {kinds}.") from None


def _check_delay(kind: Kind, delay: int) -> None:
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= LONGEST_DELAY_SECONDS:
        raise schedule_error(f"delay: is a number of seconds from 0 to {LONGEST_DELAY_SECONDS}, not {shown(delay)}.")
    if delay and kind is not Kind.CRON:
        raise schedule_error(f"delay: goes with cron>: only, not with {kind.value}>:.")


def _check_dates(start: date | None, end: date | None) -> None:
    for key, day in (("start", start), ("end", end)):
        if day is not None and (isinstance(day, datetime) or not isinstance(day, date)):
            raise schedule_error(f"{key}: is a date, such as 2026-01-31, not {shown(day)}.")
    if start is not None and end is not None and start > end:
        raise schedule_error(f"end: {end} is before start: {start}; the end day is included.")


@lru_cache(maxsize=4096)
def _bounds(zone_name: str, start: date | None, end: date | None) -> tuple[int, int]:
    """The run times allowed, as instants [first, end)."""
    first_run = EARLIEST if start is None else max(EARLIEST, midnight(start, zone_name))
    if end is None or end.year >= NEVER.year:
        return first_run, LATEST
    return first_run, midnight(end + timedelta(days=1), zone_name)
