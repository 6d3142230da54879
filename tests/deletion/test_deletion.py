"""Deleting a project while its workflows are scheduled, queued and running."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from projects import revisions, secrets
from projects.models import Project, Revision
from scheduler import deletion, schedules
from scheduler.attempts import kill
from scheduler.backfill import ScheduleNotFound, backfill
from scheduler.models import Attempt, AttemptStatus, Pool, Schedule, Session
from scheduler.starting import WorkflowNotFound, start
from scheduler.ticker import tick


def project_of(schedule: Schedule) -> int:
    return schedule.workflow.project_id


def publish(project: str, revision: str, now: datetime, *workflows: str) -> Revision:
    document = {"schedule": {"cron>": "0 * * * *"}, "+a": {"echo>": "x"}}
    documents = dict.fromkeys(workflows or ("report",), document)
    return revisions.publish(project_name=project, revision_name=revision, documents=documents, now=now)


def test_the_project_is_marked_and_its_schedules_are_gone(schedule: Schedule, now: datetime) -> None:
    deletion.delete(project_of(schedule), now=now)

    assert Project.objects.get().deleted_at == now
    assert not Schedule.objects.exists()


def test_queued_attempts_are_killed_and_running_ones_canceling(
    schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    waiting = make_attempt(schedule, now, status=AttemptStatus.QUEUED, released_at=None)
    queued = make_attempt(schedule, now - timedelta(hours=1), status=AttemptStatus.QUEUED)
    running = make_attempt(schedule, now - timedelta(hours=2), status=AttemptStatus.RUNNING)
    done = make_attempt(schedule, now - timedelta(hours=3), finished_at=now - timedelta(days=1))

    deletion.delete(project_of(schedule), now=now)

    for attempt in (waiting, queued, running, done):
        attempt.refresh_from_db()
    assert {attempt.status for attempt in (waiting, queued)} == {"killed"}
    assert (queued.finished_at, queued.cancel_requested_at) == (now, now)
    assert queued.reason == {"message": "Its project was deleted."}
    assert (running.status, running.finished_at, running.cancel_requested_at) == ("canceling", None, now)
    assert (done.status, done.finished_at, done.cancel_requested_at) == ("success", now - timedelta(days=1), None)


def test_what_waits_for_the_room_of_a_killed_attempt_in_a_pool_gets_it(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    pool = Pool.objects.create(name="db", slots=1)
    doomed, other = make_schedule(project="doomed"), make_schedule(project="other")
    make_attempt(doomed, now, status=AttemptStatus.QUEUED, pool=pool)
    waiting = make_attempt(other, now, status=AttemptStatus.QUEUED, pool=pool, released_at=None)

    deletion.delete(project_of(doomed), now=now)

    waiting.refresh_from_db()
    assert (waiting.status, waiting.released_at) == ("queued", now)


def test_other_projects_go_on(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    doomed, other = make_schedule(project="doomed"), make_schedule(project="other")
    attempt = make_attempt(other, now, status=AttemptStatus.RUNNING)

    deletion.delete(project_of(doomed), now=now)

    attempt.refresh_from_db()
    assert (attempt.status, list(Schedule.objects.all())) == ("running", [other])


def test_the_name_is_free_again(schedule: Schedule, now: datetime) -> None:
    deletion.delete(project_of(schedule), now=now)

    assert Project.objects.create(name="sales", created_at=now).pk


def test_a_project_is_deleted_once(schedule: Schedule, now: datetime) -> None:
    deletion.delete(project_of(schedule), now=now)

    for project in (project_of(schedule), 0):
        with pytest.raises(deletion.ProjectNotFound):
            deletion.delete(project, now=now + timedelta(days=1))
    assert Project.objects.get().deleted_at == now


def test_nothing_of_it_can_be_started_any_more(schedule: Schedule, now: datetime) -> None:
    deletion.delete(project_of(schedule), now=now)

    with pytest.raises(WorkflowNotFound):
        start(definition_id=schedule.definition_id, session_time=now, now=now)
    with pytest.raises(ScheduleNotFound):
        backfill(schedule_id=schedule.pk, attempt_name="a", from_time=now, dry_run=False, now=now)
    with pytest.raises(ScheduleNotFound):
        schedules.skip(schedule.pk, schedules.Target(now + timedelta(days=1)), now=now)
    tick(now=now + timedelta(days=1))
    assert not Attempt.objects.exists()


def test_a_revision_of_it_is_not_adopted_any_more(db: None, now: datetime) -> None:
    revision = publish("shop", "r1", now)
    deletion.delete(revision.project_id, now=now)

    with pytest.raises(deletion.ProjectNotFound):
        schedules.adopt(revision, now=now)

    assert not Schedule.objects.exists()


def test_its_pages_are_not_found_and_its_history_can_be_read_by_id(
    schedule: Schedule, make_attempt: Callable[..., Attempt], make_user: Callable[..., User], now: datetime
) -> None:
    attempt = make_attempt(schedule, now)
    client = Client()
    client.force_login(make_user("root", is_superuser=True))

    deletion.delete(project_of(schedule), now=now)

    ids = {"schedules": schedule.pk, "attempts": attempt.pk, "sessions": attempt.session_id}
    for path in (f"{name}/{pk}" for name, pk in ids.items()):
        assert client.get(f"/{path}").status_code == 404
    api = {path: client.get(f"/api/{path}/{pk}").status_code for path, pk in ids.items()}
    assert api == {"schedules": 404, "attempts": 200, "sessions": 200}


def test_what_it_ends_is_counted(schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime) -> None:
    make_attempt(schedule, now, status=AttemptStatus.QUEUED)
    make_attempt(schedule, now - timedelta(hours=1), status=AttemptStatus.CANCELING)
    make_attempt(schedule, now - timedelta(hours=2))
    secrets.put(project_id=project_of(schedule), key="db.password", value="x", now=now)

    assert deletion.extent(project_of(schedule)) == deletion.Extent(schedules=1, secrets=1, queued=1, running=1)


# --- races --------------------------------------------------------------------------------------------------


def at_once(pool: ThreadPoolExecutor, *verbs: Callable[[], Any]) -> None:
    """All of them together; that one finds the project gone is one of the two ways in which a race ends."""
    barrier = Barrier(len(verbs), timeout=30)

    def run(verb: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            verb()
        except (WorkflowNotFound, ScheduleNotFound, deletion.ProjectNotFound):
            pass
        finally:
            connection.close()

    for future in [pool.submit(run, verb) for verb in verbs]:
        future.result()


def ask_start(schedule: Schedule, now: datetime) -> Any:
    return start(definition_id=schedule.definition_id, session_time=now, now=now)


def ask_backfill(schedule: Schedule, now: datetime) -> Any:
    from_time = now - timedelta(hours=50)
    return backfill(schedule_id=schedule.pk, attempt_name="a", from_time=from_time, dry_run=False, now=now)


def ask_tick(schedule: Schedule, now: datetime) -> Any:
    return tick(now=now + timedelta(hours=5))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ask", [ask_start, ask_backfill, ask_tick])
def test_nothing_that_starts_at_the_same_time_outlives_the_project(
    make_schedule: Callable[..., Schedule], now: datetime, ask: Callable[[Schedule, datetime], Any]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            schedule = make_schedule(project=f"p{number}")

            at_once(
                pool,
                lambda: ask(schedule, now),  # noqa: B023
                lambda: deletion.delete(project_of(schedule), now=now),  # noqa: B023
            )

            assert not Attempt.objects.live().exists()
            assert not Schedule.objects.exists()
    assert Session.objects.count() == Session.objects.filter(attempts__isnull=False).distinct().count()


@pytest.mark.django_db(transaction=True)
def test_a_revision_that_is_adopted_at_the_same_time_leaves_no_schedule(now: datetime) -> None:
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            revision = publish(f"p{number}", "r1", now, *(f"w{index}" for index in range(5)))

            at_once(
                pool,
                lambda: schedules.adopt(revision, now=now),  # noqa: B023
                lambda: deletion.delete(revision.project_id, now=now),  # noqa: B023
            )

            assert not Schedule.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_deletion_waits_for_a_revision_that_is_being_adopted(now: datetime) -> None:
    revision = publish("shop", "r1", now)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            schedules.adopt(revision, now=now)
            deleted = pool.submit(closing, lambda: deletion.delete(revision.project_id, now=now))
            waits_for_us(deleted)
        deleted.result(30)

    assert not Schedule.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_revisions_adopted_at_the_same_time_follow_each_other(now: datetime) -> None:
    with ThreadPoolExecutor(2) as pool:
        for number in range(10):
            first, second = (publish(f"p{number}", name, now) for name in ("r1", "r2"))

            at_once(
                pool,
                lambda: schedules.adopt(first, now=now),  # noqa: B023
                lambda: schedules.adopt(second, now=now),  # noqa: B023
            )

            assert Schedule.objects.filter(workflow__project=first.project_id).count() == 1


def closing(verb: Callable[[], Any]) -> Any:
    try:
        return verb()
    finally:
        connection.close()


def waits_for_us(running: Future[Any]) -> None:
    """Until another connection waits for a lock of this one, or what runs is over."""
    end = time.monotonic() + 30
    while not running.done() and time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            if cursor.fetchone():
                return
        time.sleep(0.01)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_kill_passes_on_the_turn_while_a_deletion_waits_for_it(
    schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    attempt = make_attempt(schedule, now, status=AttemptStatus.QUEUED)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            list(Attempt.objects.filter(pk=attempt.pk).select_for_update(no_key=True))
            deleted = pool.submit(closing, lambda: deletion.delete(project_of(schedule), now=now))
            waits_for_us(deleted)
            assert kill(attempt.pk, now=now)
        deleted.result(30)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.reason) == ("killed", {"message": "Killed on request."})
