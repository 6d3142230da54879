"""An attempt that waits in the queue: how it is shown, and what becomes of its tasks when it is killed there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from scheduler import attempts, deletion
from scheduler.execution import run
from scheduler.execution.drain import drain
from scheduler.execution.operators.base import Context, Operator, Outcome
from scheduler.models import Attempt, AttemptStatus, Backfill, Lane, Pool, TaskRun

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
States = Callable[[Attempt], dict[str, str]]

WAITS = {"+a": {"echo>": "x"}, "+b": {"wait>": "1h"}, "+c": {"echo>": "y"}}
CLOSED = {"+wf": "canceled", "+wf+a": "success", "+wf+b": "canceled", "+wf+c": "canceled"}


def by_id(attempt: Attempt) -> None:
    assert attempts.kill(attempt.pk, now=timezone.now())


def with_its_project(attempt: Attempt) -> None:
    deletion.delete(attempt.workflow.project_id, now=timezone.now())


def with_its_backfill(attempt: Attempt) -> None:
    now = timezone.now()
    backfill = Backfill.objects.create(workflow=attempt.workflow, name="b", from_time=now, sessions=1, created_at=now)
    Attempt.objects.filter(pk=attempt.pk).update(backfill=backfill)
    assert attempts.kill_backfill(backfill.pk, now=now) == 1


@pytest.mark.parametrize("kill", [by_id, with_its_project, with_its_backfill])
def test_the_tasks_of_one_that_is_killed_while_it_waits_are_canceled(
    execute: Execute, states: States, kill: Callable[[Attempt], None]
) -> None:
    attempt, other = execute(WAITS), execute(WAITS)

    kill(attempt)

    attempt.refresh_from_db()
    assert (attempt.status, states(attempt)) == ("killed", CLOSED)
    assert states(other)["+wf+b"] == "retry_waiting"


def test_one_that_lost_its_worker_and_is_killed_then_leaves_no_task_running(execute: Execute, states: States) -> None:
    attempt = execute(WAITS)
    TaskRun.objects.filter(full_name="+wf+b").update(state="running")
    Attempt.objects.update(status="canceling", lease_expires_at=datetime(2026, 3, 1, tzinfo=UTC))

    assert attempts.reap(now=timezone.now()) == 1

    attempt.refresh_from_db()
    assert (attempt.status, states(attempt)) == ("killed", CLOSED)


def test_one_that_lost_its_worker_too_often_leaves_what_never_began(execute: Execute, states: States) -> None:
    attempt = execute(WAITS)
    TaskRun.objects.filter(full_name="+wf+b").update(state="running")
    Attempt.objects.update(status="running", deliveries=3, lease_expires_at=datetime(2026, 3, 1, tzinfo=UTC))

    assert attempts.reap(now=timezone.now()) == 1

    attempt.refresh_from_db()
    assert (attempt.status, states(attempt)) == ("error", {**CLOSED, "+wf+c": "blocked"})


def test_a_fault_of_our_own_leaves_no_task_running(
    execute: Execute, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(task: Context) -> Outcome:
        raise RuntimeError("our own fault")

    monkeypatch.setitem(run.OPERATORS, "sh", Operator(break_down))

    attempt = execute({"+a": {"sh>": "x"}, "+b": {"echo>": "y"}})

    assert attempt.status == "error"
    assert states(attempt) == {"+wf": "canceled", "+wf+a": "canceled", "+wf+b": "blocked"}


def test_one_that_never_began_has_no_tasks_to_cancel(queue: Execute) -> None:
    attempt = queue(WAITS)

    attempts.kill(attempt.pk, now=timezone.now())

    assert not TaskRun.objects.exists()


def test_it_keeps_its_place_in_the_pool(execute: Execute, queue: Execute) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    attempt = execute(WAITS, pool=pool)
    next_one = queue({"+a": {"echo>": "x"}}, pool=pool, released_at=None)

    attempts.turns.release(pool_id=pool.pk, now=timezone.now())
    next_one.refresh_from_db()
    assert next_one.released_at is None

    attempts.kill(attempt.pk, now=timezone.now())
    next_one.refresh_from_db()
    assert next_one.released_at is not None


def test_the_wire_calls_it_running_and_one_that_never_began_queued(
    execute: Execute, queue: Execute, client: Client, api_key: str
) -> None:
    waits, fresh = execute(WAITS), queue(WAITS, released_at=timezone.now() + timedelta(hours=1))
    headers = {"Authorization": f"TD1 {api_key}"}

    def told(attempt: Attempt) -> dict[str, Any]:
        answer: dict[str, Any] = client.get(f"/api/attempts/{attempt.pk}", headers=headers).json()
        return answer

    assert (told(waits)["status"], told(waits)["done"], told(fresh)["status"]) == ("running", False, "queued")
    assert waits.status == AttemptStatus.QUEUED


def test_its_page_says_that_it_waits_and_until_when(execute: Execute, client: Client, admin_user: Any) -> None:
    attempt = execute(WAITS)
    Attempt.objects.filter(pk=attempt.pk).update(released_at=datetime(2036, 3, 1, 12, 5, tzinfo=UTC))
    client.force_login(admin_user)

    page = client.get(f"/attempts/{attempt.pk}").content.decode()
    drain(Lane.MANUAL)

    assert "waits to go on" in page
    assert "Goes on" in page
    assert "12:05" in page
