"""What becomes of each due slot of one schedule: it starts, it waits, or it is skipped and why.

Decided without the database, from the schedule's row (locked by the caller) and from what is live of its workflow.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from scheduler.models import CatchUp, Lane, Overlap, Schedule, SkipReason
from scheduler.timetable import Slot

MOST_STARTS = 20
ON_TIME = timedelta(minutes=1)
IN_TURN = (Overlap.QUEUE_ONE, Overlap.CANCEL_RUNNING)


@dataclass
class Live:
    """What is not done of a schedule's workflow. `unnamed` are the schedule's own; of those, some may wait."""

    any: bool = False
    unnamed: bool = False
    waiting: bool = False


class Start(NamedTuple):
    """One slot that starts. `waits`: its attempt is made, and gets its turn later."""

    slot: Slot
    lane: Lane
    waits: bool


@dataclass
class Turn:
    """The due slots of one schedule, decided. `following` is where its cursor goes; None: it has ended."""

    schedule: Schedule
    starts: list[Start] = field(default_factory=list)
    skips: list[tuple[Slot, SkipReason]] = field(default_factory=list)
    following: Slot | None = None
    cancels: bool = False
    """The live attempts of the schedule are killed to make room."""


def decide(schedule: Schedule, live: Live, *, now: datetime, most_skips: int) -> Turn:
    """At most 20 starts and `most_skips` skips of the slots due at `now`; the rest is due again in the next pass.

    Raises TimetableError when the row holds no timetable. `live` is changed along with what starts.
    """
    turn = Turn(schedule)
    for slot, following in _due(schedule, now):
        overtaken = following is not None and following.run_time <= now
        reason = _reason_to_skip(schedule, slot, live, now, overtaken=overtaken)
        if reason:
            turn.skips.append((slot, reason))
        else:
            _start(turn, slot, live, late=overtaken and _is_past(slot, now))
        turn.following = following
        if len(turn.starts) >= MOST_STARTS or len(turn.skips) >= most_skips:
            break
    return turn


def _due(schedule: Schedule, now: datetime) -> Iterator[tuple[Slot, Slot | None]]:
    """Each due slot, from the cursor on, with the slot that follows it."""
    assert schedule.next_session_time
    assert schedule.next_run_time
    slot: Slot | None = Slot(schedule.next_session_time, schedule.next_run_time)
    later = schedule.timetable.between(schedule.next_session_time + timedelta(microseconds=1), None)
    while slot is not None and slot.run_time <= now:
        following = next(later, None)
        yield slot, following
        slot = following


def _is_past(slot: Slot, now: datetime) -> bool:
    """More than a minute behind: below that, a tick that took its time is no reason to call a session late."""
    return now > slot.run_time + ON_TIME


def _reason_to_skip(schedule: Schedule, slot: Slot, live: Live, now: datetime, *, overtaken: bool) -> SkipReason | None:
    """First the delay, as in Digdag; then the catch-up; what is left may overlap. `overtaken`: the next is due, too."""
    delayed_by = schedule.skip_delayed_by
    if delayed_by is not None and now > slot.run_time + timedelta(seconds=delayed_by):
        return SkipReason.DELAYED
    if _is_missed(schedule, slot, now, overtaken=overtaken):
        return SkipReason.MISSED
    return SkipReason.OVERTIME if _is_crowded_out(schedule, live, overtaken=overtaken) else None


def _is_missed(schedule: Schedule, slot: Slot, now: datetime, *, overtaken: bool) -> bool:
    match schedule.catch_up:
        case CatchUp.LATEST:
            return overtaken
        case CatchUp.NONE:
            return _is_past(slot, now)
    return False


def _is_crowded_out(schedule: Schedule, live: Live, *, overtaken: bool) -> bool:
    match schedule.overlap:
        case Overlap.SKIP:
            return live.any
        case Overlap.QUEUE_ONE:
            return live.waiting
        case Overlap.CANCEL_RUNNING:
            return overtaken  # the next slot, due as well, would kill it before it began
    return False


def _start(turn: Turn, slot: Slot, live: Live, *, late: bool) -> None:
    waits = turn.schedule.overlap in IN_TURN and live.unnamed
    turn.cancels = turn.schedule.overlap == Overlap.CANCEL_RUNNING and live.unnamed
    turn.starts.append(Start(slot, Lane.BACKFILL if late else Lane.SCHEDULED, waits))
    live.any = live.unnamed = True
    live.waiting = live.waiting or waits
