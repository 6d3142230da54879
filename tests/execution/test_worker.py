"""A real Celery worker: from the doorbell to a finished attempt."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from scheduler import dispatch
from scheduler.models import Attempt, AttemptStatus, Lane, LogChunk, Schedule, TaskRun

pytestmark = pytest.mark.processes


@pytest.fixture
def start(make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]) -> Callable[..., Attempt]:
    """start({"+a": {"echo>": "x"}}): a released attempt of a new workflow, its doorbell rung."""
    count = 0

    def begin(document: dict[str, Any], **fields: Any) -> Attempt:
        nonlocal count
        count += 1
        schedule = make_schedule(document=document, name=f"wf{count}")
        attempt = make_attempt(
            schedule, status=AttemptStatus.QUEUED, lane=Lane.MANUAL, released_at=timezone.now(), **fields
        )
        dispatch.ring(Lane.MANUAL, attempts=1)
        return attempt

    return begin


@pytest.fixture
def ended(wait_until: Callable[..., Any]) -> Callable[..., Attempt]:
    def end(attempt: Attempt, timeout: float = 15) -> Attempt:
        wait_until(lambda: Attempt.objects.get(pk=attempt.pk).done, timeout)
        attempt.refresh_from_db()
        return attempt

    return end


def log_of(attempt: Attempt) -> str:
    return "".join(LogChunk.objects.filter(attempt=attempt).order_by("pk").values_list("text", flat=True))


def states(attempt: Attempt) -> dict[str, str]:
    rows = TaskRun.objects.filter(attempt=attempt).order_by("position")
    return dict(rows.values_list("full_name", "state"))


@pytest.mark.usefixtures("live_worker")
def test_attempts_run_to_their_end(start: Callable[..., Attempt], ended: Callable[..., Attempt]) -> None:
    echo = start({"+hello": {"echo>": "hello ${session_time}"}})
    shell = start({"+a": {"sh>": "echo out; echo err >&2"}, "+b": {"sh>": "echo ${session_date}"}})
    failing = start({"+a": {"sh>": "exit 3"}, "+b": {"echo>": "never"}})
    told = start({"+a": {"fail>": "no data for ${session_date}"}})

    ends = [ended(attempt).status for attempt in (echo, shell, failing, told)]

    assert ends == ["success", "success", "error", "error"]
    assert log_of(echo) == "hello 2026-03-02T11:00:00+00:00\n"
    assert log_of(shell) == "out\nerr\n2026-03-02\n"
    assert failing.reason == {"message": "The command ended with exit code 3.", "exit_code": 3, "task": "+wf3+a"}
    assert states(failing) == {"+wf3": "group_error", "+wf3+a": "error", "+wf3+b": "blocked"}
    assert told.reason == {"message": "no data for 2026-03-02", "task": "+wf4+a"}
