"""VERB: turn due schedules into sessions and attempts (or skips), and move their cursors.

Sessions, attempts, skips and cursors of a batch move in one transaction; due schedules are claimed with
`FOR UPDATE SKIP LOCKED`, so any number of tickers may run at once. What comes due now goes first; then those that are
behind take turns, at most 20 starts each, until the time of the tick is over.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from scheduler import attempts, dispatch, turns
from scheduler.away import database_is_away
from scheduler.crashpoints import crashpoint
from scheduler.models import Attempt, AttemptStatus, Overlap, Schedule, Session, Skip
from scheduler.models.bulk import insert_many, insert_missing, update_many
from scheduler.models.schedule import ONE_AT_A_TIME, ScheduleQuerySet
from scheduler.policy import ON_TIME, Live, Start, There, Turn, decide

BATCH = 500
BEHIND_BATCH = 100
SECONDS = 0.25  # what comes due meanwhile waits as long, or for the last batch
MOST_SKIPS = 1_000
MOST_SKIPS_OF_A_PASS = 10_000
MOST_THERE = 1_000
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
    behind: bool = False
    """Time was over while some were behind: there may be more to do at once."""

    def add(self, other: "Ticked") -> None:
        self.schedules += other.schedules
        self.started += other.started
        self.skipped += other.skipped
        self.failed += other.failed


def tick(*, now: datetime, seconds: float = SECONDS) -> Ticked:
    """Start what is due at `now`. Returns the counts; a schedule that fails is noted on its row and stops no other.

    Schedules that came due within the last minute all get their turn. Those further behind go on for about `seconds`
    of this process's time, the one whose last turn is longest ago first; 0 is one batch of them.
    """
    done = Ticked()
    end = time.monotonic() + seconds  # how long we have worked; what is due is decided by `now` alone
    if not _due(now).exists():
        return done
    while _pass(lambda: _on_time(now)[:BATCH], now, done) == BATCH:
        continue
    while _pass(lambda: _behind(now)[:BEHIND_BATCH], now, done):
        if time.monotonic() >= end:
            done.behind = True
            break
    return done


def _due(now: datetime) -> ScheduleQuerySet:
    return Schedule.objects.due(now).filter(workflow__project__deleted_at=None)


def _on_time(now: datetime) -> ScheduleQuerySet:
    return _due(now).filter(next_run_time__gte=now - ON_TIME)


def _behind(now: datetime) -> ScheduleQuerySet:
    """All that are still due; every turn sets `updated_at`."""
    return _due(now).order_by("updated_at", "next_run_time", "pk")


def _pass(rows: Callable[[], ScheduleQuerySet], now: datetime, done: Ticked) -> int:
    """One batch in one transaction. When it fails, its schedules run one by one, so that one alone can fail."""
    try:
        with transaction.atomic():
            ticked = _run(_claimed(rows()), now)
            crashpoint("ticker.before_commit")
    except Exception as error:
        if database_is_away(error):  # or wants the whole to be tried again: the next tick does
            raise
        log.warning("batch_failed", exc_info=True)
        ticked = _one_by_one(rows(), now)
    done.add(ticked)
    return ticked.schedules


def _claimed(rows: ScheduleQuerySet) -> list[Schedule]:
    due = list(rows.select_for_update(skip_locked=True, of=("self",), no_key=True))
    crashpoint("ticker.after_lock")
    return due


def _one_by_one(rows: ScheduleQuerySet, now: datetime) -> Ticked:
    done = Ticked()
    for schedule in rows:
        done.add(_alone(schedule, now))
    return done


def _alone(schedule: Schedule, now: datetime) -> Ticked:
    """In a transaction of its own, if nobody else has it: turns are passed on once in each."""
    try:
        with transaction.atomic():
            return _run(_claimed(_due(now).filter(pk=schedule.pk)), now)
    except Exception as error:
        if database_is_away(error):
            raise
        log.exception("schedule_failed", schedule=schedule.pk)
        trouble = _trouble(error, schedule.failures, now)
        Schedule.objects.filter(pk=schedule.pk, version=schedule.version).update(**trouble, updated_at=now)
        return Ticked(schedules=1, failed=1)


def _run(due: Sequence[Schedule], now: datetime) -> Ticked:
    """Everything of these locked schedules: decide, kill, start, skip, move on."""
    if not due:
        return Ticked()
    decided = _decided(due, now)
    cancels = {turn.schedule.workflow_id for turn in decided if turn.cancels}
    pools = attempts.make_room(cancels, now=now)
    started = _start(decided, now)
    _give_turns(started, cancels, pools, now)
    skipped = _record_skips(decided, now)
    _move_cursors(decided, due, now)
    return Ticked(schedules=len(due), started=len(started), skipped=skipped, failed=len(due) - len(decided))


# --- decide -------------------------------------------------------------------------------------------------


def _decided(due: Sequence[Schedule], now: datetime) -> list[Turn]:
    """A turn for each schedule but those that cannot be worked out: they stand back."""
    live, there = _live(due), _there(due, now)
    decided, skips = [], 0
    for schedule in due:
        workflow = schedule.workflow_id
        most = max(min(MOST_SKIPS, MOST_SKIPS_OF_A_PASS - skips), 1)
        try:
            turn = decide(schedule, live[workflow], there.get(workflow, There()), now=now, most_skips=most)
        except Exception as error:
            log.exception("schedule_failed", schedule=schedule.pk)
            for name, value in _trouble(error, schedule.failures, now).items():
                setattr(schedule, name, value)
        else:
            schedule.error, schedule.failures, schedule.retry_at = "", 0, None
            skips += len(turn.skips)
            decided.append(turn)
    return decided


def _live(due: Sequence[Schedule]) -> dict[int, Live]:
    """What is not done of each schedule's workflow. Read after the lock, so that no other ticker's start is missed."""
    live = {schedule.workflow_id: Live() for schedule in due}
    asked = [schedule.workflow_id for schedule in due if schedule.overlap != Overlap.ALLOW]
    if asked:
        waiting = Q(name="", status=AttemptStatus.QUEUED, released_at=None)
        rows = Attempt.objects.live().filter(workflow__in=asked).order_by().values_list("workflow_id")
        counts = rows.annotate(unnamed=Count("pk", filter=Q(name="")), waiting=Count("pk", filter=waiting))
        live |= {pk: Live(any=True, unnamed=bool(own), waiting=bool(waits)) for pk, own, waits in counts}
    return live


def _there(due: Sequence[Schedule], now: datetime) -> dict[int, There]:
    """Sessions that somebody else made for slots that are due now, by workflow. Few have any."""
    ahead = Session.objects.filter(
        workflow=OuterRef("workflow"), session_time__gte=OuterRef("next_session_time"), session_time__lte=now
    )
    pks = [schedule.pk for schedule in due]
    having = Schedule.objects.filter(Exists(ahead), pk__in=pks).values_list("workflow", "next_session_time")
    return {workflow: _there_of(workflow, cursor, now) for workflow, cursor in having if cursor}


def _there_of(workflow_id: int, cursor: datetime, now: datetime) -> There:
    rows = Session.objects.filter(workflow=workflow_id, session_time__gte=cursor, session_time__lte=now)
    times = list(rows.order_by("session_time").values_list("session_time", flat=True)[:MOST_THERE])
    return There(frozenset(times), until=times[-1] if len(times) == MOST_THERE else None)


def _trouble(error: Exception, failures: int, now: datetime) -> dict[str, object]:
    minutes = RETRY_MINUTES[min(failures, len(RETRY_MINUTES) - 1)]
    return {
        "error": f"{type(error).__name__}: {error}",
        "failures": failures + 1,
        "retry_at": now + timedelta(minutes=minutes),
    }


# --- write --------------------------------------------------------------------------------------------------


def _start(decided: Iterable[Turn], now: datetime) -> "list[_Wanted]":
    """Insert sessions and attempts. A session that is there after all is passed over."""
    wanted = [_Wanted(turn.schedule, start, uuid4()) for turn in decided for start in turn.starts]
    if not wanted:
        return []
    sessions = _add_sessions(wanted, now)
    crashpoint("ticker.after_session")
    made = [one for one in wanted if one.uuid in sessions]
    _add_attempts(made, sessions, now)
    crashpoint("ticker.after_attempt")
    return made


class _Wanted(NamedTuple):
    """A session to be made, with its first attempt. Not model instances: those cost as much as all the rest."""

    schedule: Schedule
    start: Start
    uuid: UUID

    @property
    def waits(self) -> bool:
        return self.start.waits or self.schedule.pool_id is not None


def _add_sessions(wanted: Sequence[_Wanted], now: datetime) -> dict[UUID, int]:
    """The ids of those that were not there before, by uuid."""
    return insert_missing(
        Session,
        same={"created_at": now},
        columns={
            "workflow_id": [one.schedule.workflow_id for one in wanted],
            "session_time": [one.start.slot.session_time for one in wanted],
            "uuid": [one.uuid for one in wanted],
        },
        returning="uuid",
    )


def _add_attempts(made: Sequence[_Wanted], sessions: Mapping[UUID, int], now: datetime) -> None:
    insert_many(
        Attempt,
        same={"index": 1, "created_at": now},
        columns={
            "session_id": [sessions[one.uuid] for one in made],
            "workflow_id": [one.schedule.workflow_id for one in made],
            "definition_id": [one.schedule.definition_id for one in made],
            "pool_id": [one.schedule.pool_id for one in made],
            "lane": [one.start.lane for one in made],
            "released_at": [None if one.waits else now for one in made],
            "last_executed_session_time": [one.start.last_executed for one in made],
        },
        returning="session_id",
    )


def _give_turns(made: Sequence[_Wanted], cancels: set[int], pools: set[int], now: datetime) -> None:
    """Ring for those released; of those that wait, there or where others were killed, release whoever can go."""
    for lane, count in Counter(one.start.lane for one in made if not one.waits).items():
        dispatch.ring(lane, attempts=count)
    waiting = [one.schedule for one in made if one.waits]
    turns.release_each(
        workflow_ids={one.workflow_id for one in waiting if one.overlap in ONE_AT_A_TIME} | cancels,
        pool_ids={one.pool_id for one in waiting if one.pool_id} | pools,
        now=now,
    )


def _record_skips(decided: Iterable[Turn], now: datetime) -> int:
    skips = [
        Skip(schedule=turn.schedule, session_time=slot.session_time, reason=reason, created_at=now)
        for turn in decided
        for slot, reason in turn.skips
    ]
    Skip.objects.bulk_create(skips, ignore_conflicts=True)
    if skips:
        log.info("sessions_skipped", **Counter(skip.reason for skip in skips))
    return len(skips)


def _move_cursors(decided: Iterable[Turn], due: Sequence[Schedule], now: datetime) -> None:
    for turn in decided:
        turn.schedule.next_session_time, turn.schedule.next_run_time = turn.following or (None, None)
        turn.schedule.last_session_time = turn.last_executed
    for schedule in due:
        schedule.version += 1
        schedule.updated_at = now
    columns = {name: [getattr(schedule, name) for schedule in due] for name in (*CURSOR, *TROUBLE)}
    update_many(Schedule, keys=[schedule.pk for schedule in due], columns=columns)
