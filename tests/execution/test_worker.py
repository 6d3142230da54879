"""A real Celery worker: from the doorbell to the end of the attempt, and of the worker."""

import os
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from scheduler import attempts
from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule, TaskRun

pytestmark = pytest.mark.processes

Make = Callable[..., Attempt]
WaitUntil = Callable[..., Any]


def alive(marker: str) -> bool:
    """Some process has the marker in its command line."""
    return marker in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def marker(request: pytest.FixtureRequest) -> str:
    """Seconds to sleep that no other process sleeps."""
    return f"{os.getpid()}{abs(hash(request.node.name)) % 1000}"


@pytest.mark.usefixtures("live_worker")
def test_attempts_run_to_their_end(start: Make, ended: Make, log_of: Callable[[Attempt], str]) -> None:
    echo = start({"+hello": {"echo>": "hello ${session_time}"}})
    shell = start({"+a": {"sh>": "echo out; echo err >&2"}, "+b": {"sh>": "echo ${session_date}"}})
    python = start(
        {"+a": {"py>": "work.run"}, "+b": {"echo>": "${got}"}},
        files={"work.py": "def run(x):\n    return {'got': x}"},
        params={"x": "é"},
    )
    failing = start({"+a": {"sh>": "exit 3"}, "+b": {"echo>": "never"}})
    told = start({"+a": {"fail>": "no data"}})

    ends = [ended(attempt).status for attempt in (echo, shell, python, failing, told)]

    assert ends == ["success", "success", "success", "error", "error"]
    assert log_of(echo) == "hello 2026-03-01T15:30:00+00:00\n"
    assert log_of(shell) == "out\nerr\n2026-03-01\n"
    assert log_of(python) == "é\n"
    assert failing.reason == {"message": "The command ended with exit code 3.", "exit_code": 3, "task": "+wf+a"}
    assert told.reason == {"message": "no data", "task": "+wf+a"}


@pytest.mark.usefixtures("live_worker")
def test_a_backfill_runs_one_attempt_after_the_other(
    make_schedule: Callable[..., Schedule], wait_until: WaitUntil, now: datetime
) -> None:
    schedule = make_schedule(document={"+a": {"echo>": "x"}, "+b": {"sh>": "echo ${last_executed_session_time}"}})

    plan = backfill(
        schedule_id=schedule.pk, attempt_name="again", from_time=now - timedelta(hours=6), dry_run=False, now=now
    )

    wait_until(lambda: not Attempt.objects.live().exists(), 15)
    ran = list(Attempt.objects.order_by("started_at"))
    assert [attempt.status for attempt in ran] == ["success"] * len(plan.planned)
    assert [attempt.session.session_time for attempt in ran] == [item.slot.session_time for item in plan.planned]
    assert all(before.finished_at <= after.started_at for before, after in pairwise(ran))


@pytest.mark.usefixtures("live_worker")
def test_a_kill_ends_a_running_command_within_seconds(
    start: Make, ended: Make, running: Callable[..., None], marker: str, states: Callable[[Attempt], dict[str, str]]
) -> None:
    attempt = start({"+a": {"echo>": "x"}, "+b": {"sh>": f"echo begun; sleep {marker}"}, "+c": {"echo>": "never"}})
    running(attempt, "begun")

    attempts.kill(attempt.pk, now=timezone.now())

    assert ended(attempt, timeout=5).status == AttemptStatus.KILLED
    assert attempt.reason == {"message": "Killed on request."}
    assert list(states(attempt).values()) == ["canceled", "success", "canceled", "canceled"]
    assert not alive(f"sleep {marker}")


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_code_of_a_workflow_does_not_see_the_keys_of_the_house(
    start_worker: Callable[..., Any], start: Make, ended: Make, log_of: Callable[[Attempt], str], pool: str
) -> None:
    worker = start_worker(
        pool, HINDCAST_CANARY="canary", SECRET_KEY="a canary of at least fifty letters, else it is short"
    )
    peek = f"env; cat /proc/$PPID/environ /proc/{worker.pid}/environ; echo; echo seen"
    attempt = start({"+a": {"sh>": peek}, "+b": {"py>": "work.run"}}, files={"work.py": "def run():\n    pass"})

    assert ended(attempt).status == "success", attempt.reason
    assert "seen\n" in log_of(attempt)
    for secret in ("canary", "SECRET_KEY", "DATABASE_URL", "BROKER_URL", "HINDCAST_"):
        assert secret not in log_of(attempt)


def test_a_lost_lease_kills_the_command_and_its_result_is_thrown_away(
    start_worker: Callable[..., Any], start: Make, running: Callable[..., None], wait_until: WaitUntil, marker: str
) -> None:
    start_worker(HINDCAST_LEASE_SECONDS="3", HINDCAST_RENEW_SECONDS="0.3")
    attempt = start({"+a": {"sh>": f"echo begun; sleep {marker}; echo more"}})
    running(attempt, "begun")
    before = Attempt.objects.get(pk=attempt.pk)

    Attempt.objects.filter(pk=attempt.pk).update(lease_token=before.lease_token + 1)

    wait_until(lambda: not alive(f"sleep {marker}"), 5)
    assert Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.RUNNING
    assert TaskRun.objects.get(attempt=attempt, position=1).state == "running"
    assert LogChunk.objects.get(attempt=attempt).text == "begun\n"


def test_a_lease_is_renewed_while_a_command_runs(
    start_worker: Callable[..., Any], start: Make, ended: Make, running: Callable[..., None]
) -> None:
    start_worker(HINDCAST_LEASE_SECONDS="1.5", HINDCAST_RENEW_SECONDS="0.3")
    attempt = start({"+a": {"sh>": "echo begun; sleep 2.5"}})
    running(attempt, "begun")
    first = Attempt.objects.get(pk=attempt.pk).lease_expires_at

    assert ended(attempt).status == "success"
    assert attempt.finished_at > first


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_is_asked_to_stop_finishes_what_runs(
    start_worker: Callable[..., Any], start: Make, running: Callable[..., None], pool: str
) -> None:
    worker = start_worker(pool)
    attempt = start({"+a": {"sh>": "echo begun; sleep 0.7; echo end"}})
    running(attempt)

    assert worker.stop() == 0
    assert Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.SUCCESS


@pytest.mark.parametrize("whom", ["worker", "group"])
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_is_asked_to_stop_gives_back_what_takes_longer(
    start_worker: Callable[..., Any],
    start: Make,
    running: Callable[..., None],
    wait_until: WaitUntil,
    marker: str,
    pool: str,
    whom: str,
) -> None:
    worker = start_worker(pool)
    attempt = start({"+a": {"sh>": f"echo begun; sleep {marker}"}})
    running(attempt, "begun")

    (os.killpg if whom == "group" else os.kill)(worker.pid, signal.SIGTERM)

    wait_until(lambda: Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.QUEUED, 2.5)
    assert not alive(f"sleep {marker}")
    assert Attempt.objects.get(pk=attempt.pk).deliveries == 0
    assert worker.process.wait(10) == 0


@pytest.mark.parametrize(
    "command",
    [
        "echo $$; exec sleep {seconds}",
        "trap 'exit 143' TERM; echo $$; sleep {seconds} & wait",
        "trap 'sleep 0.5; exit 1' TERM; echo $$; sleep {seconds} & wait",
    ],
)
def test_a_command_that_is_ended_together_with_its_worker_did_not_fail(
    start_worker: Callable[..., Any],
    start: Make,
    running: Callable[..., None],
    wait_until: WaitUntil,
    marker: str,
    command: str,
) -> None:
    worker = start_worker()
    attempt = start({"+a": {"sh>": command.format(seconds=marker)}})
    running(attempt, "\n")

    os.kill(int(LogChunk.objects.get(attempt=attempt).text), signal.SIGTERM)
    worker.process.terminate()

    wait_until(lambda: Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.QUEUED, 2.5)
    assert Attempt.objects.get(pk=attempt.pk).deliveries == 0


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_must_end_at_once_kills_what_runs_and_gives_it_back(
    start_worker: Callable[..., Any],
    start: Make,
    running: Callable[..., None],
    wait_until: WaitUntil,
    marker: str,
    pool: str,
) -> None:
    worker = start_worker(pool)
    attempt = start({"+a": {"sh>": f"echo begun; sleep {marker}"}})
    running(attempt, "begun")

    worker.process.send_signal(signal.SIGQUIT)

    worker.process.wait(15)
    wait_until(lambda: not alive(f"sleep {marker}"), 5)
    wait_until(lambda: Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.QUEUED, 5)  # the command ends first
    assert Attempt.objects.get(pk=attempt.pk).deliveries == 0


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_the_commands_of_a_killed_worker_end_with_it(
    start_worker: Callable[..., Any],
    start: Make,
    running: Callable[..., None],
    wait_until: WaitUntil,
    marker: str,
    pool: str,
) -> None:
    worker = start_worker(pool)
    attempt = start({"+a": {"sh>": f"(sleep {marker}; true) & echo begun; sleep {marker}; true"}})
    running(attempt, "begun")

    worker.kill()

    wait_until(lambda: not alive(f"sleep {marker}"), 2)


@pytest.mark.postgres
@pytest.mark.usefixtures("live_worker")
def test_a_broken_connection_costs_an_attempt_nothing(
    start: Make, ended: Make, running: Callable[..., None], log_of: Callable[[Attempt], str]
) -> None:
    attempt = start({"+a": {"sh>": "echo begun; sleep 1.5; echo end"}, "+b": {"sh>": "echo after"}})
    running(attempt, "begun")

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    assert ended(attempt).status == AttemptStatus.SUCCESS
    assert log_of(attempt) == "begun\nend\nafter\n"
    assert attempt.deliveries == 1
