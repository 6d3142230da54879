"""Beats that are killed, doubled, or away for days: F2, F4, F12."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from scheduler import ticker
from scheduler.models import Attempt, Schedule, Session
from tests.faults.conftest import PATIENCE

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]
TICKERS = 5
POINTS = ["after_lock", "after_session", "after_attempt", "before_commit"]


@pytest.mark.parametrize("point", [*(f"ticker.{point}" for point in POINTS), "dispatch.before_send"])
def test_a_beat_that_is_killed_in_a_tick_loses_no_slot_and_doubles_none(
    beat: Start, worker: Start, every_slot: Start, wait_until: Start, at_rest: Start, nothing_broken: Start, point: str
) -> None:
    every_slot("1", kind="seconds_interval", at=datetime.now(UTC) - timedelta(seconds=3))

    dying = beat(HINDCAST_CRASH_AT=point)
    assert dying.process.wait(PATIENCE) == -signal.SIGKILL
    before = Session.objects.count()
    living = beat()

    wait_until(lambda: Session.objects.count() >= before + 4, PATIENCE)
    assert (before > 0) == (point == "dispatch.before_send")
    worker()
    Schedule.objects.update(disabled_at=datetime.now(UTC))
    at_rest()
    living.stop()
    nothing_broken()


def test_five_tickers_at_once_start_what_one_would(every_slot: Start, now: datetime, nothing_broken: Start) -> None:
    for number in range(40):
        every_slot("0 * * * *", name=f"wf{number}")

    with ThreadPoolExecutor(TICKERS) as pool:
        for hours in range(1, 6):
            barrier = Barrier(TICKERS, timeout=30)
            at = now + timedelta(hours=hours)

            ticked = list(pool.map(lambda _: tick(at, barrier), range(TICKERS)))  # noqa: B023

            assert sum(done.started for done in ticked) == 40
            assert sum(done.failed for done in ticked) == 0

    assert Attempt.objects.count() == Session.objects.count() == 5 * 40
    nothing_broken()


def tick(at: datetime, barrier: Barrier) -> ticker.Ticked:
    barrier.wait()
    try:
        return ticker.tick(now=at)
    finally:
        connection.close()


@pytest.mark.usefixtures("own_broker")
def test_three_days_away_are_caught_up_and_delay_no_other_schedule(
    every_slot: Start, now: datetime, nothing_broken: Start
) -> None:
    back = now + timedelta(days=3)
    long = every_slot("*/5 * * * *", name="long")
    live = every_slot("* * * * *", name="live", at=back - timedelta(minutes=1))

    ticker.tick(now=back)

    assert Session.objects.filter(workflow=live.workflow).count() == 1
    for _ in range(100):
        if not Schedule.objects.due(back).exists():
            break
        ticker.tick(now=back)
    assert Session.objects.filter(workflow=long.workflow).count() == 3 * 24 * 12
    nothing_broken()
