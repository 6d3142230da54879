"""A kill that meets another move of the same attempt: whoever comes second decides by what the first has made of it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any

import pytest
from django.db import connection, transaction

from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.models import Attempt, AttemptStatus, Lane, Overlap, Schedule

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

Make = Callable[..., Any]


@pytest.fixture
def held(schedule: Schedule, make_attempt: Make) -> Claim:
    make_attempt(schedule, status=AttemptStatus.QUEUED)
    return claimed()


def claimed() -> Claim:
    claim = attempts.claim(lanes=list(Lane), worker="test", now=NOW)
    assert claim
    return claim


def kill_behind(move: Callable[[], Any], attempt_id: int) -> bool:
    """Kill it on another connection while `move` is written, and not yet committed. Returns what the kill says."""
    backend: Queue[int] = Queue()

    def kill() -> bool:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                backend.put(cursor.fetchone()[0])
            return attempts.kill(attempt_id, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            move()
            answer = pool.submit(kill)
            wait_for_lock(backend.get(timeout=30))
        return answer.result(30)


def wait_for_lock(backend: int) -> None:
    """Until this server process waits for a row that somebody else holds."""
    end = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [backend])
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    pytest.fail("The kill did not come to wait.")


@pytest.mark.postgres
def test_an_attempt_that_is_given_back_before_a_kill_is_killed(held: Claim) -> None:
    answer = kill_behind(lambda: attempts.give_back(held, now=NOW), held.attempt_id)

    attempt = Attempt.objects.get(pk=held.attempt_id)
    assert (answer, attempt.status) == (True, "killed")
    assert (attempt.finished_at, attempt.reason) == (NOW, {"message": "Killed on request."})


@pytest.mark.postgres
def test_an_attempt_that_is_claimed_before_a_kill_is_asked_to_stop(schedule: Schedule, make_attempt: Make) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus.QUEUED)

    answer = kill_behind(claimed, attempt.pk)

    attempt.refresh_from_db()
    assert (answer, attempt.status, attempt.finished_at, attempt.reason) == (True, "canceling", None, {})


@pytest.mark.postgres
def test_a_kill_that_comes_after_the_end_says_so(held: Claim) -> None:
    assert not kill_behind(lambda: attempts.succeed(held, now=NOW), held.attempt_id)
    assert Attempt.objects.get(pk=held.attempt_id).status == AttemptStatus.SUCCESS


@pytest.mark.postgres
def test_whoever_waits_goes_when_one_that_was_given_back_is_killed(make_schedule: Make, make_attempt: Make) -> None:
    schedule = make_schedule(overlap=Overlap.QUEUE_ONE)
    make_attempt(schedule, NOW - HOUR, status=AttemptStatus.QUEUED)
    next_one = make_attempt(schedule, NOW, status=AttemptStatus.QUEUED, released_at=None)
    held = claimed()

    assert kill_behind(lambda: attempts.give_back(held, now=NOW), held.attempt_id)

    next_one.refresh_from_db()
    assert next_one.released_at == NOW


def test_a_second_kill_changes_nothing(held: Claim) -> None:
    assert attempts.kill(held.attempt_id, now=NOW)
    assert not attempts.kill(held.attempt_id, now=NOW + HOUR)
    assert Attempt.objects.get(pk=held.attempt_id).cancel_requested_at == NOW
