"""VERBS: every arrow of an attempt's state machine, one function each. Nobody else writes `status`.

    queued > running | killed | error      running > success | error | canceling | queued | killed
    canceling > killed | success           a done attempt never moves; a retry is a new attempt

Each arrow is one conditional UPDATE that names the old status (and, once claimed, the lease token) and looks at
the row count: losing a race is normal and quiet. Leases are compared with the database's clock alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, DateTimeField, Exists, F, JSONField, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, Greatest, Least, Now

from scheduler import clock, dispatch, turns
from scheduler.crashpoints import crashpoint
from scheduler.models import Attempt, AttemptStatus, Lane, TaskRun, TaskState
from scheduler.models.attempt import AttemptQuerySet
from scheduler.models.task import UNDER_WAY

MAX_DELIVERIES = 3
KILLABLE = (AttemptStatus.QUEUED, AttemptStatus.RUNNING)
# How long an attempt that lost its worker waits, by delivery: what killed one worker at once might kill the next.
RETRY_SECONDS = (1, 5, 25)


@dataclass(frozen=True)
class Claim:
    """The right to run one attempt, until the lease ends: every later write names the token."""

    attempt_id: int
    token: int
    delivery: int = field(default=1, compare=False)  # how many claims there were, this one included


def claim(*, lanes: Sequence[Lane], worker: str, now: datetime) -> Claim | None:
    """queued > running: take the attempt that has waited longest in `lanes`; None when none waits.

    One that lost its worker, or was parked, waits until its `released_at` by the database's clock. Takes a lease,
    raises the lease token and counts the delivery. `now` becomes `started_at`.
    """
    row = _returning(
        f"""
        UPDATE scheduler_attempt
           SET status = 'running', lease_token = lease_token + 1, deliveries = deliveries + 1,
               lease_expires_at = {clock.sql(settings.HINDCAST_LEASE_SECONDS)}, worker = %s,
               started_at = COALESCE(started_at, {_later("%s", "created_at")})
         WHERE status = 'queued' AND id = (
               SELECT id FROM scheduler_attempt
                WHERE status = 'queued' AND released_at IS NOT NULL AND lane IN ({_marks(lanes)})
                  AND (started_at IS NULL OR released_at <= {clock.sql()})
                ORDER BY released_at, id LIMIT 1 {_skip_locked()})
        RETURNING id, lease_token, deliveries
        """,  # noqa: S608 - built from this module's own pieces
        [worker[:255], _moment(now), *(lane.value for lane in lanes)],
    )
    if not row:
        return None
    crashpoint("attempts.after_claim")
    return Claim(*row[0])


def renew(claims: Sequence[Claim]) -> dict[Claim, AttemptStatus]:
    """Prolong the leases of `claims` in one statement; those that are missing in the answer are lost.

    The answer's status tells `canceling` apart from `running`.
    """
    if not claims:
        return {}
    pairs = ", ".join(["(%s, %s)"] * len(claims))
    rows = _returning(
        f"""
        UPDATE scheduler_attempt SET lease_expires_at = {clock.sql(settings.HINDCAST_LEASE_SECONDS)}
         WHERE id IN (
               SELECT id FROM scheduler_attempt
                WHERE status IN ('running', 'canceling') AND (id, lease_token) IN (VALUES {pairs})
                ORDER BY id {_locked()})
        RETURNING id, lease_token, status
        """,  # noqa: S608 - built from this module's own pieces
        [value for held in claims for value in (held.attempt_id, held.token)],
    )
    return {Claim(pk, token): AttemptStatus(status) for pk, token, status in rows}


def succeed(held: Claim, *, now: datetime) -> bool:
    """running | canceling > success, and who waited for its room gets a turn. False: the lease was lost."""
    return _finish(held, AttemptStatus.SUCCESS, AttemptStatus.SUCCESS, {}, now)


def fail(held: Claim, *, reason: dict[str, object], now: datetime) -> bool:
    """running > error (canceling > killed), with `reason` kept as data. False: the lease was lost."""
    return _finish(held, AttemptStatus.ERROR, AttemptStatus.KILLED, reason, now)


def abandon(held: Claim, *, reason: dict[str, object], now: datetime) -> bool:
    """As `fail`, for one who does not know what became of its tasks: those that have not ended are canceled.

    False: the lease was lost.
    """
    with transaction.atomic():
        ended = fail(held, reason=reason, now=now)
        if ended:
            _cancel_tasks(Attempt.objects.filter(pk=held.attempt_id), now)
        return ended


def give_back(held: Claim, *, now: datetime) -> bool:
    """running > queued: a worker that stops hands its attempt to the next one; the delivery is not counted.

    canceling > killed. False: the lease was lost.
    """
    with transaction.atomic():
        queued = Attempt.objects.filter(
            pk=held.attempt_id, lease_token=held.token, status=AttemptStatus.RUNNING
        ).update(
            status=AttemptStatus.QUEUED,
            released_at=Least(F("released_at"), Now()),  # written by whose clock was ahead, it would wait: it has begun
            lease_expires_at=None,
            lease_token=F("lease_token") + 1,
            deliveries=Greatest(F("deliveries") - 1, 0),
        )
        if queued:
            lane = Attempt.objects.values_list("lane", flat=True).get(pk=held.attempt_id)
            dispatch.ring(Lane(lane), attempts=1)
            return True
        return abandon(held, reason={"message": "Killed on request."}, now=now)


def park(held: Claim, *, seconds: float) -> bool:
    """running > queued: the attempt waits, and any worker goes on with it in so many seconds.

    It keeps its room in backfill, pool and workflow, as it is under way: without that, others would start in the middle
    of it. The delivery is not counted. False: the lease was lost, or the attempt is to be killed.
    """
    return bool(
        Attempt.objects.filter(pk=held.attempt_id, lease_token=held.token, status=AttemptStatus.RUNNING).update(
            status=AttemptStatus.QUEUED,
            released_at=Now() + timedelta(seconds=seconds),
            lease_expires_at=None,
            lease_token=F("lease_token") + 1,
            deliveries=Greatest(F("deliveries") - 1, 0),
        )
    )


def kill(attempt_id: int, *, now: datetime) -> bool:
    """queued > killed at once, running > canceling. False: it was done, or already canceling."""
    doomed = Attempt.objects.filter(pk=attempt_id, status__in=KILLABLE)
    with transaction.atomic():
        moved = doomed.update(**_killed("Killed on request.", now))
        killed = Attempt.objects.filter(pk=attempt_id, status=AttemptStatus.KILLED)
        if moved and killed.exists():
            _cancel_tasks(killed, now)
            _pass_turn(attempt_id, now)
        return bool(moved)


def hold(workflow_ids: Sequence[int]) -> None:
    """Keep every attempt of these workflows that is not done, nor canceling, as it is until the transaction ends."""
    _lock(Attempt.objects.filter(workflow__in=workflow_ids, status__in=KILLABLE))


def kill_all(workflow_ids: Sequence[int], *, now: datetime) -> None:
    """Kill every attempt of these workflows that is not done: queued > killed at once, running > canceling.

    For workflows that start nothing more: whoever waits for a pool of theirs gets his turn, nobody else.
    """
    doomed = Attempt.objects.filter(workflow__in=workflow_ids)
    _kill_every(doomed, reason="Its project was deleted.", now=now)


def kill_backfill(backfill_id: int, *, now: datetime) -> int:
    """Kill every attempt of the backfill that is not done: queued > killed at once, running > canceling.

    Returns how many; those that are canceling already are not among them. What is done stays done, and none of its
    attempts starts any more. Whoever waits for its pool gets his turn.
    """
    return _kill_every(Attempt.objects.filter(backfill=backfill_id), reason="Its backfill was killed.", now=now)


def make_room(workflow_ids: Collection[int], *, now: datetime) -> set[int]:
    """Kill every unnamed attempt of these workflows that is not done: queued > killed at once, running > canceling.

    Returns the pools of those that were queued. In the same transaction, when it kills no more, the caller passes on
    the turns of these pools and of the workflows.
    """
    unnamed = Attempt.objects.filter(workflow__in=workflow_ids, name="", status__in=KILLABLE)
    doomed = Attempt.objects.filter(pk__in=list(unnamed.values_list("pk", flat=True)))
    _, pools = _kill(doomed, reason="Killed on request.", now=now)
    return pools


def reap(*, now: datetime, limit: int = 100) -> int:
    """Take back attempts whose lease ended: running > queued (error after three deliveries), canceling > killed.

    Returns how many. The token rises, so that the old worker is fenced at once. The next delivery waits a while.
    """
    _end_waits_of_another_clock()
    lost = Attempt.objects.filter(lease_expires_at__lt=Now()).order_by("lease_expires_at").values_list("pk", flat=True)
    return sum(_take_back(pk, now) for pk in list(lost[:limit]))


def supersede(session_ids: Iterable[int]) -> None:
    """Make room for a newer attempt of each of these sessions. Same transaction as the insert of the newer ones."""
    Attempt.objects.filter(session__in=session_ids, is_latest=True).update(is_latest=False)


# --- the pieces of the arrows ---------------------------------------------------------------------------


def _kill_every(rows: AttemptQuerySet, *, reason: str, now: datetime) -> int:
    with transaction.atomic():
        killed, pools = _kill(rows, reason=reason, now=now)
        turns.release_each(pool_ids=pools, now=now)
        return killed


def _kill(rows: AttemptQuerySet, *, reason: str, now: datetime) -> tuple[int, set[int]]:
    """Returns how many, and the pools whose turns are to be passed on."""
    doomed = rows.filter(status__in=KILLABLE)
    _lock(doomed)
    queued = doomed.filter(status=AttemptStatus.QUEUED, pool__isnull=False)
    pools = set(queued.values_list("pool_id", flat=True))
    killed = doomed.update(**_killed(reason, now))
    _cancel_tasks(rows.filter(status=AttemptStatus.KILLED, cancel_requested_at=now), now)
    return killed, pools


def _lock(rows: AttemptQuerySet) -> None:
    """By id, as all do who wait for several: none waits in a circle. Who ends one of them passes over its followers."""
    list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))


def _finish(
    held: Claim, running: AttemptStatus, canceling: AttemptStatus, reason: dict[str, object], now: datetime
) -> bool:
    """Move to `running` or to `canceling`, after what it was. One statement, as every attempt ends here."""
    crashpoint("attempts.before_finish")
    with transaction.atomic(savepoint=False):
        ended = _returning(
            f"""
            UPDATE scheduler_attempt
               SET status = CASE status WHEN 'running' THEN %s ELSE %s END,
                   reason = %s, finished_at = {_later("%s", "started_at")}, lease_expires_at = NULL
             WHERE id = %s AND lease_token = %s AND status IN ('running', 'canceling')
            RETURNING lane, backfill_id, pool_id,
                      CASE WHEN name = '' THEN (
                          SELECT schedule.workflow_id FROM scheduler_schedule schedule
                           WHERE schedule.workflow_id = scheduler_attempt.workflow_id
                             AND schedule.overlap IN ('queue_one', 'cancel_running')) END
            """,  # noqa: S608 - built from this module's own pieces
            [
                running.value,
                canceling.value,
                connection.ops.adapt_json_value(reason, None),
                _moment(now),
                held.attempt_id,
                held.token,
            ],
        )
        for lane, backfill_id, pool_id, workflow_id in ended:
            released = turns.pass_on(workflow_id=workflow_id, backfill_id=backfill_id, pool_id=pool_id, now=now)
            released[Lane(lane)] -= 1  # this worker goes on by itself, without a doorbell
            _ring(released)
        return bool(ended)


def _killed(message: str, now: datetime) -> dict[str, Any]:
    """queued > killed, running > canceling, in one statement: what moves meanwhile is decided by what it became."""
    queued = Q(status=AttemptStatus.QUEUED)
    return {
        "status": Case(When(queued, then=Value("killed")), default=Value("canceling")),
        "finished_at": Case(When(queued, then=_end(now)), default=None),
        "reason": Case(When(queued, then=Value({"message": message}, JSONField())), default=F("reason")),
        "cancel_requested_at": now,
    }


def _cancel_tasks(ended: AttemptQuerySet, now: datetime) -> None:
    """What had begun before these attempts ended, as one that waited or lost its worker, and will not go on.

    Of killed ones all that has not ended, as a worker does.
    """
    begun = TaskRun.objects.filter(attempt__in=ended.filter(started_at__isnull=False).order_by())
    sent = begun.filter(state__in=UNDER_WAY, state_params__has_key="celery")
    dispatch.revoke_kept(sent.values_list("state_params", flat=True))
    blocked = Q(state=TaskState.BLOCKED, attempt__status=AttemptStatus.KILLED)
    begun.filter(Q(state__in=UNDER_WAY) | blocked).update(state=TaskState.CANCELED, updated_at=now)


def _pass_turn(attempt_id: int, now: datetime) -> None:
    ended = Attempt.objects.only("workflow", "backfill", "pool").get(pk=attempt_id)
    released = turns.pass_on(
        workflow_id=ended.workflow_id, backfill_id=ended.backfill_id, pool_id=ended.pool_id, now=now
    )
    _ring(released)


def _ring(released: Counter[Lane]) -> None:
    for lane, count in released.items():
        if count > 0:
            dispatch.ring(lane, attempts=count)


def _end_waits_of_another_clock() -> None:
    """The database's clock was set back: no lease and no wait for the next delivery ends later than one of now."""
    lease = timedelta(seconds=settings.HINDCAST_LEASE_SECONDS)
    longest = timedelta(seconds=max(RETRY_SECONDS))
    waiting = Attempt.objects.filter(status=AttemptStatus.QUEUED, lane__in=list(Lane), deliveries__gt=0)
    parked = TaskRun.objects.filter(attempt=OuterRef("pk"), retry_at__isnull=False)
    with transaction.atomic():
        _mend(Attempt.objects.filter(lease_expires_at__gt=Now() + 2 * lease), lease_expires_at=Now() + lease)
        _mend(waiting.filter(~Exists(parked), released_at__gt=Now() + 2 * longest), released_at=Now())


def _mend(rows: AttemptQuerySet, **columns: Any) -> None:
    """What somebody else holds is left to the next tick: he may wait for another one of them."""
    free = rows.order_by("pk").select_for_update(skip_locked=True, no_key=True)
    Attempt.objects.filter(pk__in=free.values("pk")).update(**columns)


def _take_back(attempt_id: int, now: datetime) -> bool:
    """In a transaction of its own, as each that ends locks its workflow, backfill and pool, in this order."""
    expired = Attempt.objects.filter(Q(lease_expires_at__lt=Now()), pk=attempt_id)
    with transaction.atomic():
        attempt = expired.select_for_update(skip_locked=True, no_key=True).first()
        if attempt:
            _fence(attempt, now)
        return attempt is not None


def _fence(attempt: Attempt, now: datetime) -> None:
    mine = Attempt.objects.filter(Q(lease_expires_at__lt=Now()), pk=attempt.pk, lease_token=attempt.lease_token)
    fence = {"lease_token": F("lease_token") + 1, "lease_expires_at": None}
    if attempt.status == AttemptStatus.CANCELING:
        ended = mine.update(status=AttemptStatus.KILLED, finished_at=_end(now), **fence)
    elif attempt.deliveries >= MAX_DELIVERIES:
        reason = {"message": f"worker lost {attempt.deliveries} times"}
        ended = mine.update(status=AttemptStatus.ERROR, finished_at=_end(now), reason=reason, **fence)
    else:
        wait = timedelta(seconds=RETRY_SECONDS[max(attempt.deliveries, 1) - 1])
        mine.update(status=AttemptStatus.QUEUED, released_at=Now() + wait, **fence)
        return  # the tick rings when the wait is over
    if ended:
        _cancel_tasks(Attempt.objects.filter(pk=attempt.pk), now)
        _pass_turn(attempt.pk, now)


def _returning(statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


# A caller that slept after it had looked at the clock must not end an attempt before what is known to have happened.


def _end(now: datetime) -> Greatest:
    began = TaskRun.objects.filter(attempt=OuterRef("pk"), started_at__isnull=False).order_by("-started_at")
    last = Subquery(began.values("started_at")[:1])
    known = (Coalesce(moment, "created_at") for moment in ("started_at", "cancel_requested_at", last))
    return Greatest(Value(now, DateTimeField()), *known)


def _later(one: str, other: str) -> str:
    return f"{'GREATEST' if connection.vendor == 'postgresql' else 'MAX'}({one}, {other})"


def _skip_locked() -> str:
    return "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""


def _locked() -> str:
    return "FOR NO KEY UPDATE" if connection.features.has_select_for_update else ""


def _moment(instant: datetime) -> object:
    return connection.ops.adapt_datetimefield_value(instant)


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))
