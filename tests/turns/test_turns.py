"""Whose turn it is: backfills, pools, and workflows that run one attempt at a time."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from scheduler import attempts, ticker, turns
from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Lane, Overlap, Pool

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LANES = list(Lane)


@pytest.fixture
def pool(db):
    return Pool.objects.create(name="warehouse", slots=2)


@pytest.fixture
def waiting(make_attempt):
    """waiting(schedule, hours=3): an attempt whose turn has not come."""

    def make(schedule, hours=1, **fields):
        given = {"status": AttemptStatus.QUEUED, "released_at": None, **fields}
        return make_attempt(schedule, NOW - hours * HOUR, **given)

    return make


def claim(*lanes):
    return attempts.claim(lanes=lanes or LANES, worker="test", now=NOW)


def released():
    return set(Attempt.objects.live().filter(released_at__isnull=False).values_list("pk", flat=True))


def finish_next():
    held = claim()
    assert held
    assert attempts.succeed(held, now=NOW)
    return held.attempt_id


def run_backfill(schedule, hours=5, name="again"):
    plan = backfill(schedule_id=schedule.pk, attempt_name=name, from_time=NOW - hours * HOUR, dry_run=False, now=NOW)
    return plan.backfill


def test_a_pool_releases_as_many_as_it_has_slots(schedule, waiting, pool):
    first, second, third = (waiting(schedule, hours, pool=pool) for hours in (3, 2, 1))

    assert turns.release(pool_id=pool.pk, now=NOW) == Counter({Lane.SCHEDULED: 2})
    assert released() == {first.pk, second.pk}

    assert finish_next() == first.pk
    assert released() == {second.pk, third.pk}


def test_a_pool_without_slots_releases_nothing(schedule, waiting, pool):
    Pool.objects.update(slots=0)
    waiting(schedule, pool=pool)

    assert turns.release(pool_id=pool.pk, now=NOW) == Counter()


def test_scheduled_attempts_get_the_slots_of_a_pool_before_backfills(make_schedule, waiting, pool):
    Pool.objects.update(slots=1)
    nightly = make_schedule(name="nightly")
    row = run_backfill(make_schedule(name="big", pool=pool))
    assert released() == {row.attempts.earliest("pk").pk}
    tonight = waiting(nightly, pool=pool)

    finish_next()

    assert released() == {tonight.pk}
    finish_next()
    assert released() == {row.attempts.order_by("pk")[1].pk}


def test_a_backfill_in_a_full_pool_waits_and_begins_when_a_slot_is_free(make_schedule, make_attempt, pool):
    for name in ("one", "two"):
        make_attempt(make_schedule(name=name), status=AttemptStatus.QUEUED, pool=pool)

    row = run_backfill(make_schedule(name="big", pool=pool))

    assert row.pool == pool
    assert not row.attempts.filter(released_at__isnull=False).exists()
    finish_next()
    assert row.attempts.filter(released_at__isnull=False).count() == 1
    while claim_ended():
        continue
    assert row.attempts.filter(status=AttemptStatus.SUCCESS).count() == row.sessions


def claim_ended():
    held = claim()
    return held and attempts.succeed(held, now=NOW)


def test_a_backfill_in_a_pool_keeps_to_its_own_concurrency(make_schedule, pool):
    row = run_backfill(make_schedule(pool=pool))

    assert row.attempts.filter(released_at__isnull=False).count() == 1


def test_two_backfills_share_a_pool(make_schedule, pool):
    rows = [run_backfill(make_schedule(name=name, pool=pool)) for name in ("a", "b", "c")]

    going = [row.attempts.filter(released_at__isnull=False).count() for row in rows]

    assert going == [1, 1, 0]


def test_of_a_workflow_that_runs_one_at_a_time_the_next_goes_when_the_first_is_done(make_schedule, waiting):
    schedule = make_schedule(overlap=Overlap.QUEUE_ONE)
    first, second = waiting(schedule, 2), waiting(schedule, 1)

    turns.release(workflow_id=schedule.workflow_id, now=NOW)
    assert released() == {first.pk}

    finish_next()
    assert released() == {second.pk}


def test_a_named_attempt_is_in_nobodys_way(make_schedule, make_attempt, waiting):
    schedule = make_schedule(overlap=Overlap.CANCEL_RUNNING)
    named = make_attempt(schedule, NOW - 5 * HOUR, status=AttemptStatus.QUEUED, name="retry")
    unnamed = waiting(schedule, 1)

    turns.release(workflow_id=schedule.workflow_id, now=NOW)

    assert released() == {named.pk, unnamed.pk}


def test_an_attempt_waits_for_its_workflow_and_for_its_pool(make_schedule, make_attempt, waiting, pool):
    Pool.objects.update(slots=1)
    schedule = make_schedule(overlap=Overlap.QUEUE_ONE, name="careful")
    in_pool = make_attempt(make_schedule(name="other"), NOW - 9 * HOUR, status=AttemptStatus.QUEUED, pool=pool)
    running = make_attempt(schedule, NOW - 3 * HOUR, status=AttemptStatus.RUNNING, lease_token=1)
    both = waiting(schedule, 1, pool=pool)

    assert finish_next() == in_pool.pk
    assert released() == {running.pk}

    attempts.succeed(attempts.Claim(running.pk, 1), now=NOW)
    assert released() == {both.pk}


def test_a_killed_attempt_passes_its_slot_on(schedule, make_attempt, waiting, pool):
    Pool.objects.update(slots=1)
    first = make_attempt(schedule, NOW - 2 * HOUR, status=AttemptStatus.QUEUED, pool=pool)
    second = waiting(schedule, 1, pool=pool)

    attempts.kill(first.pk, now=NOW)

    assert released() == {second.pk}


def test_slots_given_to_a_pool_later_are_used_by_the_tick(schedule, waiting, pool):
    Pool.objects.update(slots=0)
    for hours in (3, 2, 1):
        waiting(schedule, hours, pool=pool)
    assert turns.heal(now=NOW) == Counter()

    Pool.objects.update(slots=2)

    assert turns.heal(now=NOW) == Counter({Lane.SCHEDULED: 2})
    assert turns.heal(now=NOW) == Counter()


def test_attempts_that_wait_for_nothing_any_more_are_released_by_the_tick(make_schedule, waiting, pool):
    loose = waiting(make_schedule(name="loose"))
    pooled = waiting(make_schedule(name="pooled"), pool=pool)
    row = run_backfill(make_schedule(name="big"))
    row.attempts.update(released_at=None)
    pool.delete()

    turns.heal(now=NOW)

    assert released() == {loose.pk, pooled.pk, row.attempts.earliest("pk").pk}


def test_healing_where_nobody_waits_asks_little(schedule, make_attempt, django_assert_max_num_queries):
    make_attempt(schedule, status=AttemptStatus.QUEUED)

    with django_assert_max_num_queries(3):
        assert turns.heal(now=NOW) == Counter()


def test_an_attempt_that_shares_nothing_ends_without_asking_for_turns(
    schedule, make_attempt, django_assert_max_num_queries
):
    make_attempt(schedule, status=AttemptStatus.QUEUED)
    held = claim()

    with django_assert_max_num_queries(3):  # one, and the savepoint of the test
        attempts.succeed(held, now=NOW)


def in_threads(*actions):
    """Run the actions at once; what they raised."""
    barrier, errors = threading.Barrier(len(actions)), []

    def body(action):
        try:
            barrier.wait(30)
            action()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=body, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_what_a_tick_kills_gives_its_slot_of_a_pool_to_another_workflow(make_schedule, make_attempt, waiting, pool):
    Pool.objects.update(slots=1)
    killed = make_attempt(make_schedule(overlap="cancel_running"), status=AttemptStatus.QUEUED, pool=pool)
    other = waiting(make_schedule(name="other", at=NOW + 3 * HOUR), pool=pool)

    ticker.tick(now=NOW + HOUR)

    killed.refresh_from_db()
    assert killed.status == AttemptStatus.KILLED
    assert other.pk in released()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_many_that_end_kill_and_heal_at_once_never_give_a_slot_away_twice_nor_lose_one(make_schedule, waiting):
    pool = Pool.objects.create(name="shared", slots=3)
    careful = make_schedule(name="careful", overlap=Overlap.QUEUE_ONE)
    for hours in range(1, 16):
        waiting(careful, hours, pool=pool)
    for name in ("a", "b"):
        row = run_backfill(make_schedule(name=name, pool=pool), hours=15, name=name)
        row.concurrency = 2
        row.save()
    turns.release_each(workflow_ids=[careful.workflow_id], pool_ids=[pool.pk], now=NOW)
    over, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            going = Attempt.objects.live().filter(released_at__isnull=False).values_list("backfill", "workflow")
            seen = list(going)
            alone = [workflow for row, workflow in seen if row is None]
            rows = Counter(row for row, _ in seen if row)
            if len(seen) > 3 or len(alone) > 1 or any(count > 2 for count in rows.values()):
                over.append(seen)

    def work():
        idle = 0
        while idle < 20:
            held = claim()
            idle = 0 if held else idle + 1
            if held:
                assert attempts.succeed(held, now=NOW)

    def kill():
        for pk in Attempt.objects.filter(backfill__isnull=False).order_by("pk").values_list("pk", flat=True)[5:20]:
            attempts.kill(pk, now=NOW)

    def heal():
        for _ in range(20):
            turns.heal(now=NOW)

    watcher = threading.Thread(target=lambda: (look(), connection.close()))
    watcher.start()
    errors = in_threads(work, work, work, work, kill, heal)
    work()
    stop.set()
    watcher.join(10)

    assert errors == []
    assert over == []
    assert not Attempt.objects.live().exclude(status=AttemptStatus.CANCELING).exists()
