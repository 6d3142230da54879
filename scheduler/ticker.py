"""VERB: turn due schedules into sessions and attempts (or skips), and move their cursors.

Sessions, attempts, skips and cursors of a batch move in one transaction; due schedules are claimed with
`FOR UPDATE SKIP LOCKED`, so any number of tickers may run at once. At most 20 slots of one schedule per pass, so
that one with a long past cannot delay the others.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef

from scheduler import dispatch
from scheduler.crashpoints import crashpoint
from scheduler.models import Attempt, Lane, Overlap, Schedule, Session, Skip, SkipReason
from scheduler.models.attempt import AttemptQuerySet
from scheduler.timetable import Slot

BATCH = 500
SLOTS_PER_PASS = 20
RETRY_MINUTES = (1, 2, 5, 15, 30, 60)

CURSOR = ("next_session_time", "next_run_time", "last_session_time", "version", "updated_at")
TROUBLE = ("error", "failures", "retry_at")

log = structlog.get_logger(__name__)


@dataclass
class Ticked:
    """What one tick did."""

    schedules: int = 0
    started: int = 0
    skipped: int = 0
    failed: int = 0


@dataclass
class Turn:
    """The due slots of one schedule, decided: which start, which are skipped, and where the cursor goes."""

    schedule: Schedule
    starts: list[Slot] = field(default_factory=list)
    skips: list[tuple[Slot, SkipReason]] = field(default_factory=list)


def tick(*, now: datetime) -> Ticked:
    """Start every session that is due at `now`. Returns the counts; a schedule that fails is noted on its row."""
    done = Ticked()
    while _pass(now, done) == BATCH:
        continue
    return done


def _pass(now: datetime, done: Ticked) -> int:
    with transaction.atomic():
        due = list(
            Schedule.objects.due(now)
            .filter(workflow__project__deleted_at=None)
            .annotate(overtime=Exists(_unfinished()))
            .select_for_update(skip_locked=True, of=("self",), no_key=True)[:BATCH]
        )
        crashpoint("ticker.after_lock")
        turns = [turn for schedule in due if (turn := _decided(schedule, now, done))]
        started = _start(turns, now)
        _record_skips(turns, now)
        _move_cursors(turns, due, now)
        if started:
            dispatch.ring(Lane.SCHEDULED, attempts=started)
        crashpoint("ticker.before_commit")
    done.schedules += len(due)
    done.started += started
    done.skipped += sum(len(turn.skips) for turn in turns)
    return len(due)


def _unfinished() -> AttemptQuerySet:
    """Live attempts of the schedule's workflow, whatever started them."""
    return Attempt.objects.live().filter(workflow=OuterRef("workflow"))


def _decided(schedule: Schedule, now: datetime, done: Ticked) -> Turn | None:
    """The schedule's due slots, and the schedule itself moved behind them. None when it cannot be worked out."""
    try:
        return _turn(schedule, now)
    except Exception as error:
        log.exception("schedule_failed", schedule=schedule.pk)
        _stand_back(schedule, error, now)
        done.failed += 1
        return None


def _turn(schedule: Schedule, now: datetime) -> Turn:
    turn = Turn(schedule)
    timetable = schedule.timetable
    busy = bool(getattr(schedule, "overtime", False))
    while _is_due(schedule, now) and len(turn.starts) + len(turn.skips) < SLOTS_PER_PASS:
        assert schedule.next_session_time
        assert schedule.next_run_time
        slot = Slot(schedule.next_session_time, schedule.next_run_time)
        reason = _reason_to_skip(schedule, slot, now, busy=busy)
        if reason:
            turn.skips.append((slot, reason))
        else:
            turn.starts.append(slot)
            busy = True
        following = timetable.next(slot.session_time)
        schedule.next_session_time, schedule.next_run_time = following or (None, None)
    schedule.error, schedule.failures, schedule.retry_at = "", 0, None
    return turn


def _is_due(schedule: Schedule, now: datetime) -> bool:
    return schedule.next_run_time is not None and schedule.next_run_time <= now


def _reason_to_skip(schedule: Schedule, slot: Slot, now: datetime, *, busy: bool) -> SkipReason | None:
    """Digdag's order: first the delay, then the overtime."""
    delayed_by = schedule.skip_delayed_by
    if delayed_by is not None and now > slot.run_time + timedelta(seconds=delayed_by):
        return SkipReason.DELAYED
    return SkipReason.OVERTIME if schedule.overlap == Overlap.SKIP and busy else None


def _stand_back(schedule: Schedule, error: Exception, now: datetime) -> None:
    minutes = RETRY_MINUTES[min(schedule.failures, len(RETRY_MINUTES) - 1)]
    schedule.error = f"{type(error).__name__}: {error}"
    schedule.failures += 1
    schedule.retry_at = now + timedelta(minutes=minutes)


def _start(turns: Iterable[Turn], now: datetime) -> int:
    """Insert sessions and attempts. A session that is there already counts as executed and is passed over."""
    wanted = [
        (turn.schedule, Session(workflow_id=turn.schedule.workflow_id, session_time=slot.session_time, created_at=now))
        for turn in turns
        for slot in turn.starts
    ]
    inserted = _inserted([session for _, session in wanted])
    crashpoint("ticker.after_session")
    attempts = []
    for schedule, session in wanted:
        if session.uuid in inserted:
            attempts.append(_first_attempt(schedule, inserted[session.uuid], now))
        schedule.last_session_time = session.session_time
    Attempt.objects.bulk_create(attempts)
    crashpoint("ticker.after_attempt")
    return len(attempts)


def _inserted(sessions: Sequence[Session]) -> dict[object, Session]:
    """Those of `sessions` that were not there before, by uuid, with their primary keys."""
    if not sessions:
        return {}
    Session.objects.bulk_create(sessions, ignore_conflicts=True)
    mine = {session.uuid for session in sessions}
    there = Session.objects.filter(
        workflow__in={session.workflow_id for session in sessions},
        session_time__in={session.session_time for session in sessions},
    )
    return {session.uuid: session for session in there if session.uuid in mine}


def _first_attempt(schedule: Schedule, session: Session, now: datetime) -> Attempt:
    return Attempt(
        session=session,
        workflow_id=schedule.workflow_id,
        definition_id=schedule.definition_id,
        index=1,
        lane=Lane.SCHEDULED,
        created_at=now,
        released_at=now,
        last_executed_session_time=schedule.last_session_time,
    )


def _record_skips(turns: Iterable[Turn], now: datetime) -> None:
    skips = [
        Skip(schedule=turn.schedule, session_time=slot.session_time, reason=reason, created_at=now)
        for turn in turns
        for slot, reason in turn.skips
    ]
    Skip.objects.bulk_create(skips, ignore_conflicts=True)
    if skips:
        log.info("sessions_skipped", **Counter(skip.reason for skip in skips))


def _move_cursors(turns: Sequence[Turn], due: Sequence[Schedule], now: datetime) -> None:
    for schedule in due:
        schedule.version += 1
        schedule.updated_at = now
    Schedule.objects.bulk_update(due, [*CURSOR, *TROUBLE])
