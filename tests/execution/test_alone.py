"""The last delivery of an attempt, which runs in a process of its own."""

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from scheduler import attempts
from scheduler.attempts import MAX_DELIVERIES
from scheduler.models import Attempt, AttemptStatus

pytestmark = pytest.mark.processes

Make = Callable[..., Attempt]
LAST = {"deliveries": MAX_DELIVERIES - 1}


def alive(marker: str) -> bool:
    """Some process has the marker in its command line."""
    return marker in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def marker(request: pytest.FixtureRequest) -> str:
    """Seconds to sleep that no other process sleeps."""
    return f"6{os.getpid()}{abs(hash(request.node.name)) % 1000}"


@pytest.mark.parametrize(("deliveries", "shared"), [(MAX_DELIVERIES - 2, True), (MAX_DELIVERIES - 1, False)])
def test_only_the_last_delivery_has_a_process_of_its_own(
    live_worker: Any, start: Make, ended: Make, log_of: Callable[[Attempt], str], deliveries: int, shared: bool
) -> None:
    document = {"+a": {"sh>": "echo $PPID"}, "+b": {"py>": "work.run"}, "+c": {"echo>": "${got}"}}
    attempt = start(document, files={"work.py": "def run():\n    return {'got': 'é'}"}, deliveries=deliveries)

    assert ended(attempt, timeout=30).status == "success", attempt.reason
    parent, got = log_of(attempt).split()
    assert (int(parent) == live_worker.pid) == shared
    assert (got, attempt.deliveries) == ("é", deliveries + 1)


def test_a_process_of_the_pool_is_its_own_already(
    start_worker: Callable[..., Any], start: Make, ended: Make, log_of: Callable[[Attempt], str]
) -> None:
    start_worker("prefork")
    attempt = start({"+a": {"sh>": "tr '\\0' ' ' < /proc/$PPID/cmdline"}}, **LAST)

    assert ended(attempt, timeout=30).status == "success", attempt.reason
    assert "celery" in log_of(attempt)


def test_it_shows_no_keys_of_the_house(
    start_worker: Callable[..., Any], start: Make, ended: Make, log_of: Callable[[Attempt], str]
) -> None:
    start_worker(HINDCAST_CANARY="canary")
    attempt = start({"+a": {"sh>": "env; cat /proc/$PPID/environ /proc/$PPID/cmdline; echo; echo seen"}}, **LAST)

    assert ended(attempt, timeout=30).status == "success", attempt.reason
    assert "seen\n" in log_of(attempt)
    for secret in ("canary", "SECRET_KEY", "DATABASE_URL", "BROKER_URL"):
        assert secret not in log_of(attempt)


@pytest.mark.usefixtures("live_worker")
def test_a_kill_ends_it(start: Make, ended: Make, running: Callable[..., None], marker: str) -> None:
    attempt = start({"+a": {"sh>": f"echo begun; sleep {marker}"}}, **LAST)
    running(attempt, "begun")

    attempts.kill(attempt.pk, now=timezone.now())

    assert ended(attempt).status == AttemptStatus.KILLED
    assert not alive(f"sleep {marker}")


def test_a_worker_that_is_asked_to_stop_gives_it_back(
    live_worker: Any, start: Make, running: Callable[..., None], marker: str, wait_until: Callable[..., Any]
) -> None:
    attempt = start({"+a": {"sh>": f"echo begun; sleep {marker}"}}, **LAST)
    running(attempt, "begun")

    assert live_worker.stop() == 0

    wait_until(lambda: not alive(f"sleep {marker}"))
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries) == (AttemptStatus.QUEUED, MAX_DELIVERIES - 1)


def test_it_ends_with_a_worker_that_was_killed(
    live_worker: Any, start: Make, running: Callable[..., None], marker: str, wait_until: Callable[..., Any]
) -> None:
    attempt = start({"+a": {"sh>": f"echo begun; sleep {marker}"}}, **LAST)
    running(attempt, "begun")

    live_worker.kill()

    wait_until(lambda: not alive(f"sleep {marker}"))
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries) == (AttemptStatus.RUNNING, MAX_DELIVERIES)  # until the lease ends
