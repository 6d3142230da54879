"""VERB: backfill past sessions of a schedule. Plan the session times, check for conflicts, submit them.

The dry run is the real run, stopped before writing. Everything happens in one transaction under a lock on the
schedule's row: a request creates every attempt that it answers with, or none and says why.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from projects.models import NAME_LENGTH
from scheduler import attempts, dispatch, turns
from scheduler.crashpoints import crashpoint
from scheduler.errors import HindcastError, InvalidInput
from scheduler.models import Attempt, Backfill, Lane, Schedule, Session
from scheduler.models.attempt import LIVE, RETRIABLE
from scheduler.models.backfill import Only
from scheduler.models.bulk import insert_many
from scheduler.timetable import Slot

UNPRINTABLE = {"Cc", "Cs"}  # control characters, lone surrogates
MOST_AT_ONCE = 100
NO_TIME = "Give a time with its offset from UTC, between the years 1 and 9999."


class ScheduleNotFound(HindcastError):  # noqa: N818 - named as the fact
    """There is no such schedule, or the caller may not see it."""

    def __init__(self, schedule_id: int) -> None:
        super().__init__(f"There is no schedule {schedule_id}.")
        self.schedule_id = schedule_id


@dataclass(frozen=True)
class Request:
    """What was asked for. The times are aware; `concurrency` is how many attempts run at once.

    No `to_time` means up to the schedule's next session, no `count` all there are, no `pool_id` the schedule's pool.
    """

    attempt_name: str
    from_time: datetime
    to_time: datetime | None = None
    count: int | None = None
    only: Only = Only.ALL
    concurrency: int = 1
    pool_id: int | None = None

    def wants(self, latest: Attempt | None) -> bool:
        """Whether a session is to be run whose latest attempt is that; None: it has none."""
        if latest is None:
            return self.only != Only.FAILED
        return self.only == Only.ALL or (self.only != Only.MISSING and latest.status in RETRIABLE)


@dataclass(slots=True)
class PlannedAttempt:
    """One slot of a backfill: the new attempt, and what is there now.

    `session_id` is None while the session is new, `attempt_id` until the attempt is written; `index` is the
    attempt's number in its session. `latest` is the session's latest attempt so far; `conflict` one in the way.
    Not a model: ten thousand of these are made for one request.
    """

    slot: Slot
    session_id: int | None
    session_uuid: UUID
    index: int
    last_executed_session_time: datetime | None
    latest: Attempt | None = None
    conflict: Attempt | None = None
    attempt_id: int | None = None

    @property
    def is_new_session(self) -> bool:
        """True before it is written, and in a dry run."""
        return self.latest is None

    @property
    def conflict_reason(self) -> str:
        """Why this slot cannot be run, for people; empty when it can."""
        if self.conflict is None:
            return ""
        if self.conflict.status in LIVE:
            return f"attempt {self.conflict.pk} is {self.conflict.digdag_status}"
        return f"attempt {self.conflict.pk} already has this name"


@dataclass(frozen=True)
class Plan:
    """What a backfill did (`backfill` is set), or would do. `planned` is in session-time order.

    `left_out` are the sessions of the time that the request does not want, as they ended well, say.
    """

    schedule: Schedule
    request: Request
    planned: list[PlannedAttempt] = field(default_factory=list)
    left_out: list[PlannedAttempt] = field(default_factory=list)
    backfill: Backfill | None = None

    @property
    def conflicts(self) -> list[PlannedAttempt]:
        return [item for item in self.planned if item.conflict is not None]

    @property
    def pool_id(self) -> int | None:
        """The pool that its attempts run in."""
        return self.schedule.pool_id if self.request.pool_id is None else self.request.pool_id


class BackfillConflict(HindcastError):  # noqa: N818 - named as the fact
    """Some slots cannot be run as asked. `plan.conflicts` lists them all, in session-time order."""

    def __init__(self, plan: Plan) -> None:
        count = len(plan.conflicts)
        super().__init__(
            f"{count} of {len(plan.planned)} sessions already {'has' if count == 1 else 'have'} an attempt named "
            f"{plan.request.attempt_name!r}, or one that is not done."
        )
        self.plan = plan


def backfill(
    *,
    schedule_id: int,
    attempt_name: str,
    from_time: datetime,
    to_time: datetime | None = None,
    count: int | None = None,
    only: Only = Only.ALL,
    concurrency: int = 1,
    pool_id: int | None = None,
    dry_run: bool,
    now: datetime,
    requested_by: AbstractBaseUser | None = None,
) -> Plan:
    """Run past sessions of a schedule again, from `from_time` up to, not including, its next session.

    The first slot is the earliest whose run time is at or after `from_time` (aware), the last the one before the first
    whose run time is at or after `to_time` (aware); `count` limits how many slots are looked at, and `only` which of
    them are run. Each gets a new attempt named `attempt_name`; `concurrency` of them run at once, whether or not they
    succeed, in the pool `pool_id`, or in that of the schedule.
    Works on disabled schedules, too, and never moves the schedule.

    Raises InvalidInput naming `attempt_name`, `from_time`, `to_time`, `count`, `concurrency` or `pool_id`;
    ScheduleNotFound; BackfillConflict naming every slot that has an attempt of that name or a live one. Nothing is
    written in any of these cases.
    """
    request = Request(attempt_name, from_time, to_time, count, only, concurrency, pool_id)
    with transaction.atomic():
        plan = prepare(schedule_id, request, dry_run=dry_run, now=now, requested_by=requested_by)
        begin([plan], now=now)
        return plan


def prepare(
    schedule_id: int, request: Request, *, dry_run: bool, now: datetime, requested_by: AbstractBaseUser | None
) -> Plan:
    """A backfill that waits, in the caller's transaction, for `begin`. Raises what `backfill` raises.

    Several of them in the order of their schedules' ids.
    """
    turns.known_pool(request.pool_id)
    request = checked(request)
    schedule = locked(schedule_id)
    plan = planned(schedule, slots(schedule, request), request)
    if plan.conflicts:
        raise BackfillConflict(plan)
    return plan if dry_run or not plan.planned else submitted(plan, requested_by, now)


def begin(plans: Sequence[Plan], *, now: datetime) -> None:
    """Let those that were submitted start. Once in a transaction, as pools are locked in order, after all schedules."""
    begun = [plan.backfill for plan in plans if plan.backfill]
    if alone := sum(row.concurrency for row in begun if row.pool_id is None):
        dispatch.ring(Lane.BACKFILL, attempts=alone)
    turns.release_each(backfill_ids=[row.pk for row in begun if row.pool_id is not None], now=now)
    if begun:
        crashpoint("backfill.before_commit")


def checked(request: Request) -> Request:
    """The request with its times in UTC. Raises InvalidInput naming every wrong field."""
    errors: dict[str, list[str]] = {}
    limit = settings.HINDCAST_MAX_BACKFILL_SESSIONS
    if not request.attempt_name.strip():
        errors["attempt_name"] = ["Give the attempts a name."]
    elif len(request.attempt_name) > NAME_LENGTH:
        errors["attempt_name"] = [f"The name has {len(request.attempt_name)} characters; {NAME_LENGTH} is the most."]
    elif any(unicodedata.category(letter) in UNPRINTABLE for letter in request.attempt_name):
        errors["attempt_name"] = ["The name has a control character in it."]
    elif request.attempt_name in {".", ".."} or set(request.attempt_name) & {"/", "\\"}:
        # Nobody makes a path of it here; what people do with the variable retry_attempt_name is another matter.
        errors["attempt_name"] = ["The name is . or .., or has a slash in it: it could be taken for a path."]
    if request.count is not None and request.count < 1:
        errors["count"] = [f"The count is {request.count}; 1 is the least. Leave it out to run all sessions."]
    elif request.count is not None and request.count > limit:
        errors["count"] = [f"The count is {request.count}; one backfill runs {limit} sessions at the most."]
    if not 1 <= request.concurrency <= MOST_AT_ONCE:
        errors["concurrency"] = [f"{request.concurrency} at once; give a number from 1 to {MOST_AT_ONCE}."]
    from_time, to_time = in_utc(request.from_time), request.to_time and in_utc(request.to_time)
    if from_time is None:
        errors["from_time"] = [NO_TIME]
    if request.to_time and to_time is None:
        errors["to_time"] = [NO_TIME]
    elif from_time and to_time and to_time <= from_time:
        errors["to_time"] = ["The time to stop at is not after the time to start from."]
    elif to_time and request.count is not None:
        errors["to_time"] = ["Give either a count or the time to stop at."]
    if errors or from_time is None:
        raise InvalidInput(errors)
    return replace(request, from_time=from_time, to_time=to_time)


def in_utc(instant: datetime) -> datetime | None:
    """The same instant in UTC; None when it has no offset, or falls out of the years 1 to 9999."""
    try:
        return instant.astimezone(UTC) if instant.tzinfo else None
    except OverflowError:
        return None


def locked(schedule_id: int) -> Schedule:
    """The schedule, its row locked until the end of the transaction, so that its past stands still meanwhile."""
    rows = Schedule.objects.with_names().select_for_update(of=("self",)).filter(workflow__project__deleted_at=None)
    schedule = rows.filter(pk=schedule_id).first()
    if schedule is None:
        raise ScheduleNotFound(schedule_id)
    return schedule


def slots(schedule: Schedule, request: Request) -> list[Slot]:
    """The slots to run, ascending. Raises InvalidInput when there are too few for `count`, or too many."""
    limit = settings.HINDCAST_MAX_BACKFILL_SESSIONS
    found = list(islice(past(schedule, request), request.count or limit + 1))
    if request.count is not None and len(found) < request.count:
        text = f"The count is {request.count}, but there are only {len(found)} sessions until the next schedule time."
        raise InvalidInput({"count": [text]})
    if len(found) > limit:
        text = f"From this time there are more than {limit} sessions, the most that one backfill runs. Set a count."
        raise InvalidInput({"from_time": [text]})
    return found


def past(schedule: Schedule, request: Request) -> Iterator[Slot]:
    """Slots whose run time is in the time that was asked for, up to the schedule's next session."""
    first = schedule.timetable.first(request.from_time)
    if first is None:
        return iter(())
    end = schedule.timetable.first(request.to_time) if request.to_time else None
    ends = [time for time in (schedule.next_session_time, end and end.session_time) if time is not None]
    return schedule.timetable.between(first.session_time, min(ends, default=None))


def planned(schedule: Schedule, wanted: Sequence[Slot], request: Request) -> Plan:
    """What to run at each slot that is wanted, and what stands in the way: three queries, however many slots."""
    there = sessions_there(schedule, wanted)
    latest, conflicts = attempts_there(schedule, wanted, request.attempt_name)
    last_executed = executed_before(schedule, wanted)
    plan = Plan(schedule, request)
    for slot in wanted:
        session_id, session_uuid = there.get(slot.session_time) or (None, uuid4())
        previous = latest.get(session_id)
        item = PlannedAttempt(
            slot=slot,
            session_id=session_id,
            session_uuid=session_uuid,
            index=previous.index + 1 if previous else 1,
            last_executed_session_time=last_executed,
            latest=previous,
            conflict=conflicts.get(session_id),
        )
        is_wanted = request.wants(previous)
        (plan.planned if is_wanted else plan.left_out).append(item)
        if is_wanted or session_id is not None:
            last_executed = slot.session_time
    return plan


def sessions_there(schedule: Schedule, wanted: Sequence[Slot]) -> dict[datetime, tuple[int, UUID]]:
    """Id and uuid of the sessions that exist already, by session time."""
    if not wanted:
        return {}
    between = (wanted[0].session_time, wanted[-1].session_time)
    there = Session.objects.filter(workflow=schedule.workflow_id, session_time__range=between)
    return {at: (pk, uuid) for at, pk, uuid in there.values_list("session_time", "pk", "uuid")}


def attempts_there(
    schedule: Schedule, wanted: Sequence[Slot], name: str
) -> tuple[dict[int | None, Attempt], dict[int | None, Attempt]]:
    """The latest attempt of each session there, and the one that conflicts, by session id."""
    if not wanted:
        return {}, {}
    between = (wanted[0].session_time, wanted[-1].session_time)
    found = (
        Attempt.objects.filter(session__workflow=schedule.workflow_id, session__session_time__range=between)
        .filter(Q(is_latest=True) | Q(name=name) | Q(status__in=LIVE))
        .only("session", "index", "name", "status", "started_at", "is_latest")
    )
    latest: dict[int | None, Attempt] = {}
    conflicts: dict[int | None, Attempt] = {}
    for attempt in found:
        if attempt.is_latest:
            latest[attempt.session_id] = attempt
        if attempt.name == name or (attempt.status in LIVE and attempt.session_id not in conflicts):
            conflicts[attempt.session_id] = attempt
    return latest, conflicts


def executed_before(schedule: Schedule, wanted: Sequence[Slot]) -> datetime | None:
    """The last session time before the first slot that has a session, whatever became of it (as Digdag does)."""
    if not wanted:
        return None
    earlier = Session.objects.filter(workflow=schedule.workflow_id, session_time__lt=wanted[0].session_time)
    return earlier.order_by("-session_time").values_list("session_time", flat=True).first()


def submitted(plan: Plan, requested_by: AbstractBaseUser | None, now: datetime) -> Plan:
    """Write the plan: the backfill, the sessions that are new, all attempts. `begin` is still to be called."""
    row = Backfill.objects.create(
        workflow_id=plan.schedule.workflow_id,
        schedule=plan.schedule,
        name=plan.request.attempt_name,
        from_time=plan.request.from_time,
        to_time=plan.request.to_time,
        count=plan.request.count,
        only=plan.request.only,
        sessions=len(plan.planned),
        concurrency=plan.request.concurrency,
        pool_id=plan.pool_id,
        created_at=now,
        created_by_id=requested_by.pk if requested_by else None,
    )
    add_sessions(plan.planned, plan.schedule, now)
    attempts.supersede([item.session_id for item in plan.planned if item.session_id and item.latest])
    add_attempts(plan.planned, plan.schedule, row, now)
    return replace(plan, backfill=row)


def add_sessions(items: Sequence[PlannedAttempt], schedule: Schedule, now: datetime) -> None:
    """Insert the sessions that are new, in one statement, and note their ids."""
    new = [item for item in items if item.session_id is None]
    times = [item.slot.session_time for item in new]
    ids = insert_many(
        Session,
        same={"workflow_id": schedule.workflow_id, "created_at": now},
        columns={"session_time": times, "uuid": [item.session_uuid for item in new]},
        returning="session_time",
    )
    for item in new:
        item.session_id = ids[item.slot.session_time]


def add_attempts(items: Sequence[PlannedAttempt], schedule: Schedule, row: Backfill, now: datetime) -> None:
    """Insert all attempts, in one statement, and note their ids; without a pool the first ones have their turn."""
    at_once = 0 if row.pool_id else row.concurrency
    sessions = [item.session_id for item in items]
    ids = insert_many(
        Attempt,
        same={
            "workflow_id": schedule.workflow_id,
            "definition_id": schedule.definition_id,
            "name": row.name,
            "lane": Lane.BACKFILL,
            "backfill_id": row.pk,
            "pool_id": row.pool_id,
            "created_at": now,
        },
        columns={
            "session_id": sessions,
            "index": [item.index for item in items],
            "last_executed_session_time": [item.last_executed_session_time for item in items],
            "released_at": [now if place < at_once else None for place in range(len(items))],
        },
        returning="session_id",
    )
    for item in items:
        item.attempt_id = ids[item.session_id]
