"""VERB: whose turn is it? A queued attempt waits until its backfill, its pool and its workflow have room.

- A backfill runs at most `concurrency` of its attempts at once, in the order of their ids.
- A pool runs at most `slots` at once; scheduled attempts go first, then manual ones, then backfills.
- Of a workflow whose schedule says `queue_one` or `cancel_running`, one unnamed attempt runs at a time.

An attempt takes its room when it is released, and keeps it until it is done. Whoever decides holds a lock on the row
of the workflow, the backfill and the pool, in this order, so that nothing is given away twice. Against the order (a
pool's room may be for any backfill) rows are locked only if they are free: their holder is on his way to the pool, and
looks for himself once it is his.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Value
from django.db.models.functions import Coalesce

from projects.models import Workflow
from scheduler import dispatch
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Backfill, Lane, Pool
from scheduler.models.attempt import AttemptQuerySet
from scheduler.models.schedule import ONE_AT_A_TIME


def known_pool(pool_id: int | None) -> int | None:
    """The same. Raises InvalidInput naming `pool_id` when there is no such pool."""
    if pool_id is not None and not Pool.objects.filter(pk=pool_id).exists():
        raise InvalidInput({"pool_id": [f"There is no pool {pool_id}."]})
    return pool_id


def pass_on(*, workflow_id: int | None, backfill_id: int | None, pool_id: int | None, now: datetime) -> Counter[Lane]:
    """An attempt ended: who waited for its room is released, in the same transaction. Returns how many by lane.

    `workflow_id` is needed only where one unnamed attempt runs at a time. Rings no doorbells.
    """
    wanted = ((workflow_id,), (backfill_id,), (pool_id,))
    workflows, backfills, pools = ([pk for pk in pks if pk is not None] for pks in wanted)
    if not (workflows or backfills or pools):
        return Counter()
    with transaction.atomic(savepoint=False):
        return _released(_candidates(_locked(workflows, backfills, pools), workflows, backfills), now)


def release(
    *, workflow_id: int | None = None, backfill_id: int | None = None, pool_id: int | None = None, now: datetime
) -> Counter[Lane]:
    """Attempts were created waiting, or there is more room: release those whose turn it is, and ring for them.

    Returns how many by lane.
    """
    with transaction.atomic(savepoint=False):
        released = pass_on(workflow_id=workflow_id, backfill_id=backfill_id, pool_id=pool_id, now=now)
        _ring(released)
        return released


def release_each(
    *,
    workflow_ids: Collection[int] = (),
    backfill_ids: Collection[int] = (),
    pool_ids: Collection[int] = (),
    now: datetime,
) -> Counter[Lane]:
    """As `release`, for many at once. Call it once in a transaction, as it locks in order; kill before, not after."""
    if not (workflow_ids or backfill_ids or pool_ids):
        return Counter()
    with transaction.atomic(savepoint=False):
        room = _locked(workflow_ids, backfill_ids, pool_ids)
        released = _released(_candidates(room, workflow_ids, backfill_ids), now)
        _ring(released)
        return released


def heal(*, now: datetime) -> Counter[Lane]:
    """Release whoever waits although there is room: a pool got more slots, a policy was changed. Called by the tick."""
    waiting = Attempt.objects.filter(status=AttemptStatus.QUEUED, released_at=None)
    alone = waiting.filter(backfill=None, pool=None)
    of_workflow = Attempt.objects.live().filter(workflow=OuterRef("workflow"), name="", released_at__isnull=False)
    workflows = list(alone.exclude(Exists(of_workflow)).values_list("workflow", flat=True).distinct()[:100])
    of_backfill = waiting.filter(backfill=OuterRef("pk"))
    backfills = list(Backfill.objects.filter(Exists(of_backfill)).values_list("pk", flat=True))
    pools = list(Pool.objects.filter(Exists(waiting.filter(pool=OuterRef("pk")))).values_list("pk", flat=True))
    return release_each(workflow_ids=workflows, backfill_ids=backfills, pool_ids=pools, now=now)


# --- room ---------------------------------------------------------------------------------------------------


@dataclass
class _Room:
    """How many more may go, by row; every row that is named here is locked."""

    workflows: dict[int, int] = field(default_factory=dict)
    backfills: dict[int, int] = field(default_factory=dict)
    pools: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Waiting:
    """An attempt that waits, and for what. `workflow` is empty where others of it may run beside."""

    pk: int
    workflow: int | None
    backfill: int | None
    pool: int | None


def _locked(workflows: Collection[int], backfills: Collection[int], pools: Collection[int]) -> _Room:
    room = _Room()
    _lock_workflows(room, workflows)
    _lock_backfills(room, backfills)
    _lock_pools(room, {*pools, *_pools_of(workflows, backfills)})
    return room


def _lock_workflows(room: _Room, wanted: Collection[int], *, skip_locked: bool = False) -> None:
    if not wanted:
        return
    rows = Workflow.objects.filter(pk__in=wanted).order_by("pk")
    locked = list(rows.select_for_update(no_key=True, skip_locked=skip_locked).values_list("pk", flat=True))
    busy = set(_going().filter(workflow__in=locked, name="").values_list("workflow", flat=True))
    room.workflows.update({pk: 0 if pk in busy else 1 for pk in locked})


def _lock_backfills(room: _Room, wanted: Collection[int], *, skip_locked: bool = False) -> None:
    if not wanted:
        return
    rows = Backfill.objects.filter(pk__in=wanted).order_by("pk")
    locked = dict(rows.select_for_update(no_key=True, skip_locked=skip_locked).values_list("pk", "concurrency"))
    room.backfills.update(_free(locked, _going().filter(backfill__in=locked), "backfill"))


def _lock_pools(room: _Room, wanted: Collection[int]) -> None:
    if not wanted:
        return
    rows = Pool.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    slots = dict(rows.values_list("pk", "slots"))
    room.pools.update(_free(slots, _going().filter(pool__in=slots), "pool"))


def _free(most: dict[int, int], going: AttemptQuerySet, name: str) -> dict[int, int]:
    taken = dict(going.order_by().values_list(name).annotate(Count("pk")))
    return {pk: number - taken.get(pk, 0) for pk, number in most.items()}


def _going() -> AttemptQuerySet:
    return Attempt.objects.live().filter(released_at__isnull=False)


def _pools_of(workflows: Collection[int], backfills: Collection[int]) -> set[int]:
    """Pools that the attempts of these are to run in."""
    found: set[int] = set()
    if backfills:
        found |= set(Backfill.objects.filter(pk__in=backfills, pool__isnull=False).values_list("pool_id", flat=True))
    if workflows:
        alone = _alone().filter(workflow__in=workflows, pool__isnull=False)
        found |= set(alone.values_list("pool_id", flat=True).order_by())
    return found


# --- candidates ---------------------------------------------------------------------------------------------


def _candidates(room: _Room, workflows: Collection[int], backfills: Collection[int]) -> Iterator[int]:
    """Attempts that may go now, each with its room taken from `room`. Pools first, as they know an order of lanes."""
    seen: set[int] = set()
    in_pools = chain.from_iterable(_of_pool(pk, room) for pk in tuple(room.pools))
    own = chain.from_iterable(_of_backfill(pk, room.backfills.get(pk, 0)) for pk in backfills)
    for waiting in chain(in_pools, _of_workflows(workflows), own):
        if waiting.pk not in seen and _takes(room, waiting):
            seen.add(waiting.pk)
            yield waiting.pk


def _alone() -> AttemptQuerySet:
    """Those that wait outside any backfill."""
    return Attempt.objects.filter(status=AttemptStatus.QUEUED, released_at=None, backfill=None).order_by("pk")


def _of_workflows(workflows: Collection[int]) -> Iterable[_Waiting]:
    return _read(_alone().filter(workflow__in=workflows)) if workflows else ()


def _of_backfill(backfill_id: int, free: int) -> Iterable[_Waiting]:
    waiting = Attempt.objects.filter(status=AttemptStatus.QUEUED, released_at=None, backfill=backfill_id)
    return _read(waiting.order_by("pk")[:free]) if free > 0 else ()


def _of_pool(pool_id: int, room: _Room) -> Iterable[_Waiting]:
    """In the order of lanes. Rows of others are locked on the way, where they are free."""
    for lane in Lane:
        if (free := room.pools.get(pool_id, 0)) <= 0:
            return
        alone = _read(_alone().filter(pool=pool_id, lane=lane).exclude(_blocked())[:free])
        _lock_workflows(room, {row.workflow for row in alone if row.workflow} - set(room.workflows), skip_locked=True)
        yield from alone
    waiting = Attempt.objects.filter(status=AttemptStatus.QUEUED, released_at=None, backfill=OuterRef("pk"))
    there = Backfill.objects.filter(Exists(waiting), pool=pool_id).order_by("pk").values_list("pk", flat=True)
    _lock_backfills(room, set(there) - set(room.backfills), skip_locked=True)
    for pk in there:
        yield from _of_backfill(pk, min(room.pools[pool_id], room.backfills.get(pk, 0)))


def _blocked() -> Exists:
    """Another one of the workflow is in the way."""
    return Exists(
        _going().filter(workflow=OuterRef("workflow"), workflow__schedule__overlap__in=ONE_AT_A_TIME, name="")
    )


def _read(rows: AttemptQuerySet) -> list[_Waiting]:
    columns = rows.values_list(
        "pk", "name", "workflow_id", Coalesce(F("workflow__schedule__overlap"), Value("")), "backfill_id", "pool_id"
    )
    return [
        _Waiting(pk, workflow if overlap in ONE_AT_A_TIME and not name else None, backfill, pool)
        for pk, name, workflow, overlap, backfill, pool in columns
    ]


def _takes(room: _Room, waiting: _Waiting) -> bool:
    """Take its room, if there is some everywhere."""
    places = [
        (free, pk)
        for free, pk in (
            (room.workflows, waiting.workflow),
            (room.backfills, waiting.backfill),
            (room.pools, waiting.pool),
        )
        if pk is not None
    ]
    if any(free.get(pk, 0) <= 0 for free, pk in places):
        return False
    for free, pk in places:
        free[pk] -= 1
    return True


def _released(candidates: Iterable[int], now: datetime) -> Counter[Lane]:
    """Release them. One that somebody is about to kill is passed over: the killer passes its turn on."""
    turn = sorted(set(candidates))
    if not turn:
        return Counter()
    locked = "FOR NO KEY UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE scheduler_attempt SET released_at = %s WHERE id IN (
                   SELECT id FROM scheduler_attempt
                    WHERE status = 'queued' AND released_at IS NULL
                      AND id IN ({", ".join(["%s"] * len(turn))}) {locked})
            RETURNING lane
            """,  # noqa: S608 - only marks are put in
            [connection.ops.adapt_datetimefield_value(now), *turn],
        )
        return Counter(Lane(lane) for (lane,) in cursor.fetchall())


def _ring(released: Counter[Lane]) -> None:
    for lane, count in released.items():
        dispatch.ring(lane, attempts=count)
