"""Who waits for the rows of several attempts takes them by id, so that two of them never wait for each other."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from projects.models import Workflow
from scheduler import attempts, deletion, schedules, ticker
from scheduler.attempts import Claim
from scheduler.models import Attempt, AttemptStatus, Backfill, Lane, Pool, Schedule, Skip
from tests.attempts.test_kill_races import wait_for_lock

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def running(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> list[Attempt]:
    """Three that run, the first of them written last, so that a scan of the table comes to it last."""
    made = [make_attempt(schedule, NOW + timedelta(hours=hour), status=AttemptStatus.RUNNING) for hour in range(3)]
    Attempt.objects.filter(pk=made[0].pk).update(worker="written again")
    return made


@pytest.fixture
def beside() -> Any:
    """beside(verb): begun on another connection, and waiting there for a row by now."""
    with ThreadPoolExecutor(2) as pool:

        def begin(verb: Callable[[], Any]) -> Future[Any]:
            backend: Queue[int] = Queue()

            def work() -> Any:
                try:
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_backend_pid()")
                        backend.put(cursor.fetchone()[0])
                    return verb()
                finally:
                    connection.close()

            begun = pool.submit(work)
            wait_for_lock(backend.get(timeout=30))
            return begun

        yield begin


def lock(attempt: Attempt) -> None:
    list(Attempt.objects.filter(pk=attempt.pk).select_for_update())


def claims(running: list[Attempt]) -> list[Claim]:
    return [Claim(attempt.pk, attempt.lease_token) for attempt in reversed(running)]


def test_a_renewal_and_a_kill_of_the_same_attempts_follow_each_other(
    schedule: Schedule, running: list[Attempt], beside: Any
) -> None:
    with transaction.atomic():
        lock(running[0])
        kill = beside(lambda: attempts.kill_all([schedule.workflow_id], now=NOW))
        renewal = beside(lambda: attempts.renew(claims(running)))

    kill.result(30)
    assert set(renewal.result(30)) == set(claims(running))
    assert set(Attempt.objects.values_list("status", flat=True)) == {"canceling"}


def test_a_renewal_leaves_out_what_was_taken_away_while_it_waited(running: list[Attempt], beside: Any) -> None:
    lost = running[0]
    with transaction.atomic():
        lock(lost)
        renewal = beside(lambda: attempts.renew(claims(running)))
        Attempt.objects.filter(pk=lost.pk).update(lease_token=lost.lease_token + 1)

    assert set(renewal.result(30)) == set(claims(running[1:]))


def test_two_kills_of_the_same_attempts_follow_each_other(
    schedule: Schedule, running: list[Attempt], beside: Any
) -> None:
    """The first one saw an attempt wait that runs, if it can, when the second one comes."""
    waits = Attempt.objects.filter(pk=running[0].pk)
    waits.update(status="queued", lease_expires_at=None, started_at=None)
    with transaction.atomic():
        lock(running[2])
        first = beside(lambda: attempts.kill_all([schedule.workflow_id], now=NOW))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(claim).result(30)
        second = beside(lambda: attempts.kill_all([schedule.workflow_id], now=NOW))

    first.result(30)
    second.result(30)
    assert set(Attempt.objects.values_list("status", flat=True)) <= {"killed", "canceling"}


def claim() -> Claim | None:
    try:
        return attempts.claim(lanes=list(Lane), worker="test", now=NOW)
    finally:
        connection.close()


def test_who_ends_an_attempt_of_a_backfill_does_not_meet_the_deletion_of_its_project(
    schedule: Schedule, make_attempt: Callable[..., Attempt], beside: Any
) -> None:
    backfill = Backfill.objects.create(
        workflow=schedule.workflow, schedule=schedule, name="b", from_time=NOW, sessions=1, created_at=NOW
    )
    attempt = make_attempt(schedule, NOW, name="b", status=AttemptStatus.RUNNING, backfill=backfill)

    with transaction.atomic():  # what ending one locks, in its order
        lock(attempt)
        deleted = beside(lambda: deletion.delete(schedule.workflow.project_id, now=NOW))
        list(Backfill.objects.filter(pk=backfill.pk).select_for_update(no_key=True))

    deleted.result(timeout=30)
    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.CANCELING


def test_who_passes_on_a_turn_of_a_backfill_and_a_pool_does_not_meet_the_deletion_of_its_project(
    schedule: Schedule, make_attempt: Callable[..., Attempt], beside: Any
) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    backfill = Backfill.objects.create(
        workflow=schedule.workflow, schedule=schedule, name="b", from_time=NOW, sessions=1, created_at=NOW, pool=pool
    )
    waiting = make_attempt(schedule, NOW, name="b", status=AttemptStatus.QUEUED, backfill=backfill, pool=pool)

    with transaction.atomic():  # one of the same backfill has ended, and its turn is passed on
        list(Backfill.objects.filter(pk=backfill.pk).select_for_update(no_key=True))
        deleted = beside(lambda: deletion.delete(schedule.workflow.project_id, now=NOW))
        list(Pool.objects.filter(pk=pool.pk).select_for_update(no_key=True))

    deleted.result(timeout=30)
    waiting.refresh_from_db()
    assert waiting.status == AttemptStatus.KILLED


def test_who_removes_a_schedule_with_a_new_revision_waits_for_a_skip_that_is_being_recorded(
    schedule: Schedule, make_definition: Callable[..., Any], beside: Any
) -> None:
    revision = make_definition(schedule.workflow.name).revision  # without a schedule

    with transaction.atomic():
        list(Schedule.objects.filter(pk=schedule.pk).select_for_update(no_key=True))
        adopted = beside(lambda: schedules.adopt(revision, now=NOW))
        Skip.objects.create(schedule=schedule, session_time=NOW, reason="overtime", created_at=NOW)

    assert adopted.result(timeout=30) == []
    assert not Schedule.objects.exists()


def test_who_takes_back_several_attempts_keeps_no_pool_while_he_comes_to_the_next_workflow(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], beside: Any
) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    ago = datetime.now(UTC) - timedelta(minutes=1)
    first, second = (
        make_attempt(
            make_schedule(name=name),
            status=AttemptStatus.CANCELING,
            lease_expires_at=ago + place * SECOND,
            pool=in_pool,
        )
        for place, (name, in_pool) in enumerate([("first", pool), ("second", None)])
    )

    with transaction.atomic():  # another one of the second workflow has ended, and its turn is passed on
        list(Workflow.objects.filter(pk=second.workflow_id).select_for_update(no_key=True))
        taken = beside(lambda: attempts.reap(now=NOW))
        list(Pool.objects.filter(pk=pool.pk).select_for_update(no_key=True))

    assert taken.result(timeout=30) == 2
    assert set(Attempt.objects.values_list("pk", "status")) == {(first.pk, "killed"), (second.pk, "killed")}


def test_a_lease_of_another_clock_that_somebody_holds_is_left_to_the_next_tick(
    running: list[Attempt],
) -> None:
    Attempt.objects.update(lease_expires_at=datetime.now(UTC) + timedelta(hours=1))

    def reap() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '10s'")
        try:
            return attempts.reap(now=NOW)
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        lock(running[1])
        assert pool.submit(reap).result(30) == 0

    soon = Attempt.objects.filter(lease_expires_at__lt=datetime.now(UTC) + timedelta(minutes=5))
    assert set(soon.values_list("pk", flat=True)) == {running[0].pk, running[2].pk}


def test_a_tick_that_kills_several_attempts_keeps_no_pool_while_it_comes_to_the_next_one(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], beside: Any
) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    first, second = (
        make_attempt(make_schedule(name=name, overlap="cancel_running"), status=AttemptStatus.QUEUED, pool=pool)
        for name in ("first", "second")
    )

    with transaction.atomic():  # the second one is killed by hand
        lock(second)
        ticked = beside(lambda: ticker.tick(now=NOW + timedelta(hours=1)))
        list(Pool.objects.filter(pk=pool.pk).select_for_update(no_key=True))

    assert ticked.result(timeout=30).started == 2
    killed = Attempt.objects.filter(status=AttemptStatus.KILLED)
    assert set(killed.values_list("pk", flat=True)) == {first.pk, second.pk}


def test_a_tick_of_one_schedule_after_the_other_keeps_no_pool_while_it_comes_to_the_next_workflow(
    make_schedule: Callable[..., Schedule], beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    make_schedule(name="first", pool=pool)
    second = make_schedule(name="second", overlap="queue_one", pool=pool)
    monkeypatch.setattr(ticker, "_run", one_alone(ticker._run))

    with transaction.atomic():  # an attempt of the second workflow has ended, and its turn is passed on
        list(Workflow.objects.filter(pk=second.workflow_id).select_for_update(no_key=True))
        ticked = beside(lambda: ticker.tick(now=NOW + timedelta(hours=1)))
        list(Pool.objects.filter(pk=pool.pk).select_for_update(no_key=True))

    assert ticked.result(timeout=30).started == 2


def one_alone(run: Callable[..., Any]) -> Callable[..., Any]:
    """A batch of several fails, as if one of them did."""

    def refuse_several(due: list[Schedule], now: datetime) -> Any:
        if len(due) > 1:
            raise ValueError("Several.")
        return run(due, now)

    return refuse_several


def test_a_backfill_of_several_schedules_keeps_no_pool_while_it_comes_to_the_next_schedule(
    make_schedule: Callable[..., Schedule], make_user: Callable[..., User], beside: Any
) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    first, second = schedules = [make_schedule(name=name, pool=pool) for name in ("first", "second")]
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    asked = {"action": "backfill", "_selected_action": [schedule.pk for schedule in schedules]}
    asked |= {"from_time": "2026-03-02 00:00", "count": "2", "attempt_name": "fix-1"}
    shown = client.post("/admin/scheduler/schedule/", {**asked, "step": "preview"}).context["choices"]
    asked |= {"step": "run", **{choice.mark: choice.table.fingerprint for choice in shown}}

    with transaction.atomic():  # a tick has the second schedule, and starts a session of it
        list(Schedule.objects.filter(pk=second.pk).select_for_update(no_key=True))
        answer = beside(lambda: client.post("/admin/scheduler/schedule/", asked))
        list(Pool.objects.filter(pk=pool.pk).select_for_update(no_key=True))

    assert answer.result(timeout=30).status_code == 302
    released = Attempt.objects.filter(released_at__isnull=False)
    assert list(released.values_list("workflow", flat=True)) == [first.workflow_id]
    assert set(Backfill.objects.values_list("schedule", flat=True)) == {first.pk, second.pk}
