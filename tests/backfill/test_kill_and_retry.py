"""A whole backfill is killed, and what failed of it is run again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from scheduler import attempts, turns
from scheduler.attempts import Claim
from scheduler.backfill import BackfillConflict, backfill
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Backfill, Lane, Pool, Schedule
from scheduler.retrying import ScheduleGone, retry_failed

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
HOUR = timedelta(hours=1)


def run(schedule: Schedule, name: str = "again", hours: int = 4) -> Backfill:
    """The sessions of `hours` hours ago up to noon, in this order: one more than `hours`."""
    from_time = NOW - hours * HOUR
    plan = backfill(schedule_id=schedule.pk, attempt_name=name, from_time=from_time, dry_run=False, now=NOW)
    assert plan.backfill
    return plan.backfill


def claim() -> Claim:
    held = attempts.claim(lanes=[Lane.BACKFILL], worker="test", now=NOW)
    assert held
    return held


def states(row: Backfill) -> list[str]:
    return list(Attempt.objects.filter(backfill=row).order_by("pk").values_list("status", flat=True))


# --- kill ---------------------------------------------------------------------------------------------------


def test_what_waits_is_killed_what_runs_is_told_to_stop_and_what_is_done_stays(schedule: Schedule) -> None:
    row = run(schedule)
    attempts.succeed(claim(), now=NOW)
    held = claim()

    killed = attempts.kill_backfill(row.pk, now=LATER)

    assert killed == 4
    assert states(row) == ["success", "canceling", "killed", "killed", "killed"]
    last = Attempt.objects.filter(backfill=row).latest("pk")
    assert (last.finished_at, last.cancel_requested_at) == (LATER, LATER)
    assert last.reason == {"message": "Its backfill was killed."}
    assert attempts.renew([held]) == {held: AttemptStatus.CANCELING}


def test_nothing_starts_after_it(schedule: Schedule) -> None:
    row = run(schedule)
    held = claim()

    attempts.kill_backfill(row.pk, now=LATER)
    attempts.fail(held, reason={}, now=LATER)
    turns.heal(now=LATER)

    assert attempts.claim(lanes=list(Lane), worker="test", now=LATER) is None
    assert states(row) == ["killed"] * 5


def test_only_that_backfill_is_killed(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    other = run(schedule, "other", hours=0)
    own = make_attempt(schedule, NOW - 9 * HOUR, status=AttemptStatus.QUEUED)
    row = Backfill.objects.create(workflow=schedule.workflow, name="x", from_time=NOW, sessions=1, created_at=NOW)
    make_attempt(schedule, NOW - 8 * HOUR, status=AttemptStatus.QUEUED, backfill=row, name="x")

    assert attempts.kill_backfill(row.pk, now=LATER) == 1
    own.refresh_from_db()
    assert (own.status, states(other), states(row)) == ("queued", ["queued"], ["killed"])


def test_killing_again_changes_nothing(schedule: Schedule) -> None:
    row = run(schedule)
    claim()
    attempts.kill_backfill(row.pk, now=LATER)
    before = list(Attempt.objects.order_by("pk").values())

    assert attempts.kill_backfill(row.pk, now=LATER + HOUR) == 0
    assert list(Attempt.objects.order_by("pk").values()) == before


def test_who_waits_for_its_pool_gets_the_turn(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    schedule.pool = Pool.objects.create(name="warehouse", slots=1)
    schedule.save()
    row = run(schedule)
    waiting = make_attempt(
        schedule, NOW - 9 * HOUR, status=AttemptStatus.QUEUED, released_at=None, pool=schedule.pool, lane=Lane.MANUAL
    )

    attempts.kill_backfill(row.pk, now=LATER)

    waiting.refresh_from_db()
    assert waiting.released_at == LATER


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_turn_passed_on_at_the_same_time_does_not_outlive_it(make_schedule: Callable[..., Schedule]) -> None:
    barrier = Barrier(2, timeout=30)

    def at_once(verb: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            verb()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            row = run(make_schedule(name=f"w{number}"))
            held = claim()

            done = [
                pool.submit(at_once, lambda: attempts.succeed(held, now=NOW)),  # noqa: B023
                pool.submit(at_once, lambda: attempts.kill_backfill(row.pk, now=LATER)),  # noqa: B023
            ]
            for future in done:
                future.result()

            assert states(row) == ["success", *["killed"] * 4]


# --- retry --------------------------------------------------------------------------------------------------


@pytest.fixture
def half_failed(schedule: Schedule) -> Backfill:
    """Five sessions from 08:00 on: success, error, success, killed, error."""
    row = run(schedule)
    for outcome in ("success", "error", "success", "killed", "error"):
        held = claim()
        if outcome == "success":
            attempts.succeed(held, now=NOW)
        else:
            if outcome == "killed":
                attempts.kill(held.attempt_id, now=NOW)
            attempts.fail(held, reason={"message": "no"}, now=NOW)
    return row


def test_what_failed_or_was_killed_is_run_again_in_order(half_failed: Backfill, operator: User) -> None:
    plan = retry_failed(half_failed, attempt_name="mend", dry_run=False, now=LATER, requested_by=operator)

    made = Attempt.objects.filter(backfill=plan.backfill).order_by("pk").select_related("session")
    assert plan.backfill
    assert (plan.backfill.name, plan.backfill.sessions, plan.backfill.created_by) == ("mend", 3, operator)
    assert [attempt.session.session_time.hour for attempt in made] == [9, 11, 12]
    assert {(attempt.status, attempt.index, attempt.name, attempt.is_latest) for attempt in made} == {
        ("queued", 2, "mend", True)
    }
    assert [attempt.released_at for attempt in made] == [LATER, None, None]


def test_each_knows_the_session_that_ran_before_it(half_failed: Backfill) -> None:
    retry_failed(half_failed, attempt_name="mend", dry_run=False, now=LATER)

    made = Attempt.objects.filter(name="mend").order_by("pk")
    assert [attempt.last_executed_session_time.hour for attempt in made] == [8, 10, 11]


def test_as_many_of_what_failed_run_at_once_as_of_the_backfill(half_failed: Backfill) -> None:
    half_failed.concurrency = 2

    plan = retry_failed(half_failed, attempt_name="mend", dry_run=False, now=LATER)

    assert plan.backfill
    assert plan.backfill.concurrency == 2
    assert Attempt.objects.filter(name="mend", released_at=LATER).count() == 2


def test_what_failed_is_run_again_in_the_pool_of_the_backfill(half_failed: Backfill) -> None:
    usual, narrow = (Pool.objects.create(name=name, slots=1) for name in ("usual", "narrow"))
    Schedule.objects.update(pool=usual)
    half_failed.pool = narrow

    plan = retry_failed(half_failed, attempt_name="mend", dry_run=False, now=LATER)

    assert plan.backfill
    assert (plan.pool_id, plan.backfill.pool_id) == (narrow.pk, narrow.pk)
    assert set(Attempt.objects.filter(name="mend").values_list("pool", flat=True)) == {narrow.pk}
    assert Attempt.objects.filter(name="mend", released_at=LATER).count() == 1


def test_a_dry_run_is_the_same_and_writes_nothing(half_failed: Backfill) -> None:
    plan = retry_failed(half_failed, attempt_name="mend", dry_run=True, now=LATER)

    assert [item.slot.session_time.hour for item in plan.planned] == [9, 11, 12]
    assert (plan.backfill, Backfill.objects.count(), Attempt.objects.count()) == (None, 1, 5)


def test_sessions_that_are_run_again_already_are_left_out(half_failed: Backfill) -> None:
    retry_failed(half_failed, attempt_name="mend", dry_run=False, now=LATER)

    again = retry_failed(half_failed, attempt_name="mend 2", dry_run=False, now=LATER)

    assert (again.planned, again.backfill, Backfill.objects.count()) == ([], None, 2)


def test_a_name_that_is_taken_is_a_conflict(half_failed: Backfill) -> None:
    with pytest.raises(BackfillConflict) as caught:
        retry_failed(half_failed, attempt_name="again", dry_run=False, now=LATER)

    assert len(caught.value.plan.conflicts) == 3
    assert Attempt.objects.count() == 5


def test_a_name_is_needed(half_failed: Backfill) -> None:
    with pytest.raises(InvalidInput) as caught:
        retry_failed(half_failed, attempt_name=" ", dry_run=False, now=LATER)

    assert list(caught.value.errors) == ["attempt_name"]


def test_without_its_schedule_it_is_refused(half_failed: Backfill, schedule: Schedule) -> None:
    schedule.delete()
    half_failed.refresh_from_db()

    with pytest.raises(ScheduleGone):
        retry_failed(half_failed, attempt_name="mend", dry_run=False, now=LATER)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_retries_at_the_same_time_run_each_session_once(half_failed: Backfill) -> None:
    barrier = Barrier(2, timeout=30)

    def at_once(name: str) -> int:
        barrier.wait()
        try:
            return len(retry_failed(half_failed, attempt_name=name, dry_run=False, now=LATER).planned)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(at_once, name) for name in ("one", "other")]

        assert sorted(future.result() for future in done) == [0, 3]
    assert Attempt.objects.live().count() == 3
