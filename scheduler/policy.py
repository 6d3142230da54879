"""What becomes of each due slot of one schedule: it starts, it waits, or it is skipped and why.

Decided without the database, from the schedule's row (locked by the caller), from what is live of its workflow, and
from the sessions that are there already: their slots count as executed, and are neither started nor skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

from scheduler.models import CatchUp, Lane, Overlap, Schedule, SkipReason
from scheduler.models.schedule import ONE_AT_A_TIME
from scheduler.timetable import Slot

MOST_STARTS = 20
ON_TIME = timedelta(minutes=1)


@dataclass
class Live:
    """What is not done of a schedule's workflow. `unnamed` are the schedule's own; of those, some may wait."""

    any: bool = False
    unnamed: bool = False
    waiting: bool = False


class There(NamedTuple):
    """Session times of a workflow that have a session, from the schedule's cursor on; all there are up to `until`."""

    times: frozenset[datetime] = frozenset()
    until: datetime | None = None


class Start(NamedTuple):
    """One slot that starts. `waits`: its attempt is made, and gets its turn later."""

    slot: Slot
    lane: Lane
    waits: bool
    last_executed: datetime | None


@dataclass
class Turn:
    """The due slots of one schedule, decided. `following` is where its cursor goes; None: it has ended."""

    schedule: Schedule
    last_executed: datetime | None
    starts: list[Start] = field(default_factory=list)
    skips: list[tuple[Slot, SkipReason]] = field(default_factory=list)
    following: Slot | None = None
    cancels: bool = False
    """The live attempts of the schedule are killed to make room."""


def decide(schedule: Schedule, live: Live, there: There, *, now: datetime, most_skips: int) -> Turn:
    """At most 20 starts and `most_skips` skips of the slots due at `now`; the rest is due again in the next pass.

    Raises TimetableError when the row holds no timetable. `live` is changed along with what starts.
    """
    turn = Turn(schedule, schedule.last_session_time, following=_at_cursor(schedule))
    for slot, following in _due(schedule, now):
        if there.until and slot.session_time > there.until:
            break
        _decide(turn, slot, following, live, there, now)
        turn.following = following
        if len(turn.starts) >= MOST_STARTS or len(turn.skips) >= most_skips:
            break
    return turn


def _decide(turn: Turn, slot: Slot, following: Slot | None, live: Live, there: There, now: datetime) -> None:
    if slot.session_time in there.times:
        turn.last_executed = slot.session_time
        return
    overtaken = following is not None and following.run_time <= now
    if reason := _reason_to_skip(turn.schedule, slot, live, there, now, overtaken=overtaken):
        turn.skips.append((slot, reason))
    else:
        _start(turn, slot, live, late=overtaken and _is_past(slot, now))


def _at_cursor(schedule: Schedule) -> Slot:
    assert schedule.next_session_time
    assert schedule.next_run_time
    return Slot(schedule.next_session_time, schedule.next_run_time)


def _due(schedule: Schedule, now: datetime) -> Iterator[tuple[Slot, Slot | None]]:
    """Each due slot, from the cursor on, with the slot that follows it."""
    cursor = _at_cursor(schedule)
    later = schedule.timetable.between(cursor.session_time + timedelta(microseconds=1), None)
    slot: Slot | None = cursor
    while slot is not None and slot.run_time <= now:
        following = next(later, None)
        yield slot, following
        slot = following


def _is_past(slot: Slot, now: datetime) -> bool:
    """More than a minute behind: below that, a tick that took its time is no reason to call a session late."""
    return now > slot.run_time + ON_TIME


def _reason_to_skip(
    schedule: Schedule, slot: Slot, live: Live, there: There, now: datetime, *, overtaken: bool
) -> SkipReason | None:
    """First the delay, as in Digdag; then the catch-up; what is left may overlap. `overtaken`: the next is due, too."""
    delayed_by = schedule.skip_delayed_by
    if delayed_by is not None and now > slot.run_time + timedelta(seconds=delayed_by):
        return SkipReason.DELAYED
    if _is_missed(schedule, slot, now, overtaken=overtaken):
        return SkipReason.MISSED
    return SkipReason.OVERTIME if _is_crowded_out(schedule, slot, live, there, now) else None


def _is_missed(schedule: Schedule, slot: Slot, now: datetime, *, overtaken: bool) -> bool:
    match schedule.catch_up:
        case CatchUp.LATEST:
            return overtaken
        case CatchUp.NONE:
            return _is_past(slot, now)
    return False


def _is_crowded_out(schedule: Schedule, slot: Slot, live: Live, there: There, now: datetime) -> bool:
    match schedule.overlap:
        case Overlap.SKIP:
            return live.any
        case Overlap.QUEUE_ONE:
            return live.waiting
        case Overlap.CANCEL_RUNNING:
            return _another_starts(schedule, slot, there, now)  # and would kill this one before it began
    return False


def _another_starts(schedule: Schedule, slot: Slot, there: There, now: datetime) -> bool:
    """A later slot that is due has no session yet."""
    later = schedule.timetable.between(slot.session_time + timedelta(microseconds=1), None)
    due = takewhile(lambda other: other.run_time <= now, later)
    return any(other.session_time not in there.times for other in due)


def _start(turn: Turn, slot: Slot, live: Live, *, late: bool) -> None:
    waits = turn.schedule.overlap in ONE_AT_A_TIME and live.unnamed
    turn.cancels = turn.schedule.overlap == Overlap.CANCEL_RUNNING and live.unnamed
    turn.starts.append(Start(slot, Lane.BACKFILL if late else Lane.SCHEDULED, waits, turn.last_executed))
    turn.last_executed = slot.session_time
    live.any = live.unnamed = True
    live.waiting = live.waiting or waits
