"""Servers that fall silent, or answer late: F24.

A broker that accepts connections and swallows what it is sent holds up nobody who has something better to do.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.test import Client

from scheduler import dispatch
from scheduler.models import Lane, Session
from tests.faults.conftest import PATIENCE
from tests.faults.invariants import Ledger
from tests.faults.line import Line

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]
MOST_SECONDS = 10  # without a limit of its own, a silent Redis held it for 20, and a silent RabbitMQ for ever
PORTS = {"redis": 6379, "amqp": 5672}


@pytest.fixture
def broker_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The test and its processes reach the broker through it."""
    parts = urlsplit(os.environ.get("TEST_BROKER_URL", ""))
    if parts.scheme not in PORTS:
        pytest.skip("the embedded broker has no line")
    line = Line((parts.hostname or "127.0.0.1", parts.port or PORTS[parts.scheme]))
    who, at, _ = parts.netloc.rpartition("@")
    monkeypatch.setenv("TEST_BROKER_URL", urlunsplit(parts._replace(netloc=f"{who}{at}127.0.0.1:{line.port}")))
    yield line
    line.close()


@pytest.fixture(autouse=True)
def own_broker(broker_line: Line, own_broker: dict[str, str]) -> Iterator[dict[str, str]]:
    yield own_broker
    broker_line.heal()


@pytest.mark.parametrize("connected", [True, False])
def test_a_backfill_waits_a_moment_at_most_for_a_broker_that_is_silent(
    broker_line: Line, make_schedule: Start, api_key: str, now: datetime, nothing_broken: Start, connected: bool
) -> None:
    schedule = make_schedule(at=now)
    client = Client(headers={"Authorization": f"TD1 {api_key}"})
    assert client.get("/api/schedules").status_code == 200  # what a first request imports is not the broker's
    if connected:
        dispatch.send(Lane.BACKFILL, 1)
    broker_line.swallow()

    asked_at = time.monotonic()
    answer = client.post(
        f"/api/schedules/{schedule.pk}/backfill",
        {"attemptName": "again", "fromTime": (now - timedelta(hours=5)).isoformat(), "dryRun": False},
        "application/json",
    )
    took = time.monotonic() - asked_at

    assert answer.status_code == 200
    assert took < MOST_SECONDS
    broker_line.heal()
    rung_before = dispatch.doorbells(Lane.BACKFILL)
    dispatch.send(Lane.BACKFILL, 2)
    assert dispatch.doorbells(Lane.BACKFILL) == rung_before + 2
    nothing_broken()


def test_a_tick_goes_on_beside_a_broker_that_is_silent(
    broker_line: Line, beat: Start, every_slot: Start, wait_until: Start, nothing_broken: Start
) -> None:
    every_slot("1", kind="seconds_interval", at=datetime.now(UTC))
    living = beat()
    wait_until(lambda: Session.objects.count() >= 1, PATIENCE)
    broker_line.swallow()

    wait_until(lambda: Session.objects.count() >= 15, PATIENCE)

    assert "doorbell_not_sent" in living.output.read_text()
    broker_line.heal()
    wait_until(lambda: dispatch.doorbells(Lane.SCHEDULED) > 1, PATIENCE)
    living.stop()
    nothing_broken()


@pytest.mark.long
def test_a_worker_whose_connections_to_the_broker_were_forgotten_works_again_by_itself(
    broker_line: Line,
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Ledger,
    at_rest: Start,
    nothing_broken: Start,
) -> None:
    living = worker()
    before = queue(ledger.task())
    at_rest()
    beat()

    broker_line.swallow_old()
    queued = queue(ledger.task(), 5)

    at_rest(3 * PATIENCE)
    assert living.process.poll() is None
    assert [ledger.begins(attempt.pk) for attempt in [*before, *queued]] == [1] * 6
    nothing_broken()
