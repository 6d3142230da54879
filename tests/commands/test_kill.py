"""`manage.py kill`: every attempt that is named, whatever became of the others."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.models import Attempt, AttemptStatus, Schedule

Manage = Callable[..., Any]


@pytest.fixture
def make(schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime) -> Callable[[AttemptStatus], Attempt]:
    hours = iter(range(1, 10))
    return lambda status: make_attempt(schedule, now - timedelta(hours=next(hours)), status=status)


def test_one_that_waits_is_killed_at_once_and_one_that_runs_is_told_to_stop(
    manage: Manage, make: Callable[[AttemptStatus], Attempt]
) -> None:
    queued, running = make(AttemptStatus.QUEUED), make(AttemptStatus.RUNNING)

    said = manage("kill", queued.pk, running.pk, queued.pk)

    assert said.out == f"attempt {queued.pk}: killed\nattempt {running.pk}: canceling: it is told to stop\n"
    assert (said.err, said.code) == ("", 0)


def test_those_that_cannot_be_killed_are_named_and_the_others_are_killed(
    manage: Manage, make: Callable[[AttemptStatus], Attempt]
) -> None:
    done, queued = make(AttemptStatus.SUCCESS), make(AttemptStatus.QUEUED)

    said = manage("kill", done.pk, 404, queued.pk)

    queued.refresh_from_db()
    assert queued.status == "killed"
    assert said.out == f"attempt {queued.pk}: killed\n"
    assert (said.err, said.code) == (f"Attempt {done.pk} is success already.\nThere is no attempt 404.", 1)
