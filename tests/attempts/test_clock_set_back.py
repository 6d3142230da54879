"""Times that another clock wrote: the database's before it was set back, or that of a machine that is ahead."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler import attempts, dispatch
from scheduler.models import Attempt, AttemptStatus, Lane, Schedule

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_a_lease_that_ends_further_ahead_than_any_of_now_is_cut_short(
    schedule: Schedule, make_attempt: Callable[..., Attempt], settings: Any
) -> None:
    now = datetime.now(UTC)
    held = make_attempt(schedule, status=AttemptStatus.RUNNING, lease_expires_at=now + HOUR)

    assert attempts.reap(now=now) == 0

    held.refresh_from_db()
    assert held.status == AttemptStatus.RUNNING  # a worker that lives has the time to renew it
    assert held.lease_expires_at is not None
    assert held.lease_expires_at <= datetime.now(UTC) + timedelta(seconds=settings.HINDCAST_LEASE_SECONDS)


def test_a_lease_of_now_is_left_as_it_is(
    schedule: Schedule, make_attempt: Callable[..., Attempt], settings: Any
) -> None:
    end = datetime.now(UTC) + timedelta(seconds=1.5 * settings.HINDCAST_LEASE_SECONDS)
    held = make_attempt(schedule, status=AttemptStatus.RUNNING, lease_expires_at=end)

    attempts.reap(now=datetime.now(UTC))

    held.refresh_from_db()
    assert held.lease_expires_at == end


@pytest.mark.parametrize(("wait", "claimed"), [(HOUR, True), (timedelta(seconds=25), False)])
def test_what_lost_its_worker_waits_no_longer_than_it_ever_may(
    schedule: Schedule, make_attempt: Callable[..., Attempt], wait: timedelta, claimed: bool
) -> None:
    now = datetime.now(UTC)
    make_attempt(
        schedule,
        status=AttemptStatus.QUEUED,
        lane=Lane.MANUAL,
        deliveries=1,
        lease_token=2,
        started_at=now,
        released_at=now + wait,
    )

    attempts.reap(now=now)

    assert bool(attempts.claim(lanes=[Lane.MANUAL], worker="test", now=now)) == claimed


@pytest.mark.parametrize(("ahead", "rung"), [(HOUR, [Lane.MANUAL]), (timedelta(seconds=1), [])])
def test_what_was_released_by_a_clock_that_is_ahead_is_rung_for(
    schedule: Schedule, make_attempt: Callable[..., Attempt], own_broker: Any, ahead: timedelta, rung: list[Lane]
) -> None:
    now = datetime.now(UTC)
    make_attempt(schedule, status=AttemptStatus.QUEUED, lane=Lane.MANUAL, released_at=now + ahead)

    assert dispatch.resend(now=now) == rung
