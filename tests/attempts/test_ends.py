"""When an attempt ended, told by one who had looked at the clock long before: a beat or a command that stood still."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from scheduler import attempts
from scheduler.models import Attempt, AttemptStatus, Schedule, TaskRun

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def begun(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> Callable[..., Attempt]:
    """An attempt that started at NOW, and whose task began two seconds later."""

    def make(status: AttemptStatus, **fields: object) -> Attempt:
        attempt = make_attempt(schedule, status=status, started_at=NOW, **fields)
        times = {"started_at": NOW + 2 * SECOND, "updated_at": NOW + 2 * SECOND}
        TaskRun.objects.create(attempt=attempt, position=0, full_name="+w", **times)
        return attempt

    return make


@pytest.mark.parametrize("status", [AttemptStatus.RUNNING, AttemptStatus.CANCELING])
def test_what_lost_its_worker_does_not_end_before_its_tasks_began(
    begun: Callable[..., Attempt], status: AttemptStatus
) -> None:
    attempt = begun(status, lease_expires_at=NOW, deliveries=3, lease_token=3)

    attempts.reap(now=NOW - SECOND)

    attempt.refresh_from_db()
    assert (attempt.done, attempt.finished_at) == (True, NOW + 2 * SECOND)


def test_what_lost_its_worker_does_not_end_before_it_was_asked_to(begun: Callable[..., Attempt]) -> None:
    attempt = begun(AttemptStatus.CANCELING, lease_expires_at=NOW, cancel_requested_at=NOW + 3 * SECOND)

    attempts.reap(now=NOW - SECOND)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.finished_at) == ("killed", NOW + 3 * SECOND)


def test_what_is_killed_between_two_deliveries_does_not_end_before_its_tasks_began(
    begun: Callable[..., Attempt],
) -> None:
    attempt = begun(AttemptStatus.QUEUED)

    attempts.kill(attempt.pk, now=NOW - SECOND)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.finished_at) == ("killed", NOW + 2 * SECOND)
