"""What a backfill writes, how much it costs, and how its attempts take turns."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scheduler import attempts, dispatch
from scheduler.backfill import BackfillConflict, backfill
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Lane, Pool, Session
from scheduler.turns import release

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def run(schedule, name="again", hours=5, **given):
    return backfill(
        schedule_id=schedule.pk,
        attempt_name=name,
        from_time=NOW - hours * HOUR,
        **{"dry_run": False, "now": NOW, **given},
    )


def claim():
    return attempts.claim(lanes=[Lane.BACKFILL], worker="test", now=NOW)


def turns():
    """The session hours of released attempts that are not done."""
    waiting = Attempt.objects.live().filter(released_at__isnull=False)
    return [attempt.session.session_time.hour for attempt in waiting.order_by("pk").select_related("session")]


def test_attempts_are_written_in_session_time_order_with_their_facts(schedule, operator):
    plan = run(schedule, requested_by=operator)

    written = list(Attempt.objects.order_by("pk").select_related("session"))
    assert [attempt.pk for attempt in written] == [item.attempt_id for item in plan.planned]
    assert [attempt.session.session_time for attempt in written] == [item.slot.session_time for item in plan.planned]
    assert [attempt.session.uuid for attempt in written] == [item.session_uuid for item in plan.planned]
    assert {(a.name, a.index, a.status, a.lane, a.is_latest, a.definition_id) for a in written} == {
        ("again", 1, "queued", "backfill", True, schedule.definition_id)
    }
    assert {(attempt.workflow_id, attempt.session.workflow_id) for attempt in written} == {
        (schedule.workflow_id, schedule.workflow_id)
    }
    assert {attempt.created_at for attempt in written} == {NOW}
    assert all(attempt.params == {} and attempt.reason == {} for attempt in written)
    assert plan.backfill.created_by == operator
    assert plan.backfill.from_time == NOW - 5 * HOUR


def test_new_and_old_sessions_mix_in_one_backfill(schedule, make_attempt):
    old = make_attempt(schedule, NOW - 3 * HOUR)

    plan = run(schedule)

    assert [item.index for item in plan.planned] == [1, 1, 2, 1, 1, 1]
    assert [item.attempt_id for item in plan.planned] == sorted(item.attempt_id for item in plan.planned)
    old.refresh_from_db()
    assert not old.is_latest
    assert Attempt.objects.get(name="again", session=old.session).index == 2


def test_only_the_first_has_its_turn_and_each_one_that_ends_gives_it_to_the_next(schedule):
    run(schedule, hours=2)
    assert turns() == [10]

    assert attempts.succeed(claim(), now=NOW)
    assert turns() == [11]

    assert attempts.fail(claim(), reason={"message": "x"}, now=NOW)
    assert turns() == [12]

    assert attempts.succeed(claim(), now=NOW)
    assert turns() == []


def test_killing_the_one_whose_turn_it_is_gives_the_turn_to_the_next(schedule):
    plan = run(schedule, hours=2)

    assert attempts.kill(plan.planned[0].attempt_id, now=NOW)

    assert turns() == [11]


def test_killing_one_that_waits_gives_no_second_turn(schedule):
    plan = run(schedule, hours=2)

    assert attempts.kill(plan.planned[1].attempt_id, now=NOW)
    assert turns() == [10]

    assert attempts.succeed(claim(), now=NOW)
    assert turns() == [12]


def test_two_backfills_of_one_schedule_run_side_by_side(schedule):
    run(schedule, "first", hours=2, count=1)
    run(schedule, "second", hours=1, count=1)

    assert turns() == [10, 11]


def test_the_doorbell_rings_after_the_commit_only(schedule, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr(dispatch, "send", lambda lane, bells: rung.append((lane, bells)))

    with django_capture_on_commit_callbacks(execute=True):
        run(schedule)
        assert rung == []

    assert rung == [(Lane.BACKFILL, 1)]


def test_a_dry_run_rings_no_doorbell(schedule, monkeypatch, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        run(schedule, dry_run=True)

    assert callbacks == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_number_of_statements_does_not_grow_with_the_slots(make_schedule, dry_run):
    few, many = make_schedule(name="few"), make_schedule("* * * * *", name="many")

    with CaptureQueriesContext(connection) as for_few:
        assert len(run(few, hours=2, dry_run=dry_run).planned) == 3
    with CaptureQueriesContext(connection) as for_many:
        assert len(run(many, hours=50, dry_run=dry_run).planned) == 3001

    assert len(for_many) == len(for_few)


def test_ten_thousand_slots_are_written_as_they_were_planned(make_schedule):
    schedule = make_schedule("* * * * *", timezone="Australia/Lord_Howe")

    plan = run(schedule, hours=24 * 8, count=10_000)

    assert Session.objects.count() == Attempt.objects.count() == 10_000
    last = Attempt.objects.select_related("session").get(pk=plan.planned[-1].attempt_id)
    assert last.session.session_time == plan.planned[-1].slot.session_time
    assert last.last_executed_session_time == plan.planned[-2].slot.session_time


def in_threads(count, action):
    """Run `action` in `count` threads that start together; what each returned, or the exception it raised."""
    barrier, results = threading.Barrier(count), []

    def body():
        try:
            barrier.wait(30)
            results.append(action())
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=body) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.django_db(transaction=True)
def test_of_eight_that_ask_for_the_same_at_once_one_gets_it_and_seven_are_told(make_schedule):
    schedule = make_schedule("*/5 * * * *")

    results = in_threads(8, lambda: run(schedule, hours=10, count=100))

    assert sorted(type(result).__name__ for result in results) == ["BackfillConflict"] * 7 + ["Plan"]
    assert all(len(r.plan.conflicts) == 100 for r in results if isinstance(r, BackfillConflict))
    assert Session.objects.count() == Attempt.objects.count() == 100


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_attempts_that_end_at_once_never_free_two_turns(make_schedule):
    schedule = make_schedule("*/5 * * * *")
    plan = run(schedule, hours=1)
    plan.backfill.concurrency = 4
    plan.backfill.save()
    release(backfill_id=plan.backfill.pk, now=NOW)

    held = [claim() for _ in range(4)]
    queue = list(held)
    results = in_threads(4, lambda: attempts.succeed(queue.pop(), now=NOW))

    assert results == [True] * 4
    live = Attempt.objects.live().filter(backfill=plan.backfill, released_at__isnull=False)
    assert live.count() == 4
    assert Attempt.objects.filter(status=AttemptStatus.SUCCESS).count() == 4


def test_a_backfill_runs_in_the_pool_that_is_asked_for_and_else_in_its_schedules(make_schedule):
    usual, narrow = (Pool.objects.create(name=name, slots=slots) for name, slots in (("usual", 5), ("narrow", 1)))
    schedule = make_schedule(pool=usual)

    run(schedule, "usual", hours=2)
    assert run(schedule, "narrow", hours=5, count=2, pool_id=narrow.pk).pool_id == narrow.pk

    pools = Attempt.objects.order_by("pk").values_list("name", "pool__name")
    assert list(pools) == [("usual", "usual")] * 3 + [("narrow", "narrow")] * 2
    assert turns() == [10, 7]


def test_a_pool_that_is_not_there_is_refused_by_name(schedule):
    with pytest.raises(InvalidInput) as refusal:
        run(schedule, pool_id=7, dry_run=True)

    assert refusal.value.errors == {"pool_id": ["There is no pool 7."]}
