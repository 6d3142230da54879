"""Which lane a slot claims from: shares, empty lanes, and the queues that the worker was started for."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler import dispatch
from scheduler.celery import app
from scheduler.execution import drain as draining
from scheduler.execution.drain import drain
from scheduler.execution.lanes import RoundRobin, consumed
from scheduler.models import Attempt, AttemptStatus, Lane, Schedule

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def claims(turn: RoundRobin, filled: dict[Lane, int], count: int) -> list[Lane | None]:
    """The lanes of `count` claims from lanes that hold so many attempts."""

    def take(lane: Lane) -> bool:
        filled[lane] -= 1
        return filled[lane] >= 0

    return [turn.next(list(Lane), take) for _ in range(count)]


def test_full_lanes_share_the_claims_eight_to_three_to_one() -> None:
    taken = claims(RoundRobin(), dict.fromkeys(Lane, 1000), 120)

    assert Counter(taken) == {Lane.SCHEDULED: 80, Lane.MANUAL: 30, Lane.BACKFILL: 10}


def test_a_lane_waits_at_most_one_round() -> None:
    taken = claims(RoundRobin(), dict.fromkeys(Lane, 1000), 120)

    for start in range(0, 108):
        assert {Lane.SCHEDULED, Lane.MANUAL, Lane.BACKFILL} == set(taken[start : start + 12])


def test_what_other_lanes_do_not_need_goes_to_the_one_that_waits() -> None:
    taken = claims(RoundRobin(), {Lane.SCHEDULED: 0, Lane.MANUAL: 0, Lane.BACKFILL: 1000}, 120)

    assert Counter(taken) == {Lane.BACKFILL: 120}


def test_an_empty_lane_saves_nothing_up() -> None:
    turn = RoundRobin()
    claims(turn, {Lane.SCHEDULED: 0, Lane.MANUAL: 0, Lane.BACKFILL: 1000}, 500)

    taken = claims(turn, dict.fromkeys(Lane, 1000), 24)

    assert Counter(taken)[Lane.BACKFILL] in (1, 2, 3)


def test_where_all_are_empty_nothing_is_taken() -> None:
    assert claims(RoundRobin(), dict.fromkeys(Lane, 0), 1) == [None]


@pytest.fixture
def worker_of() -> Iterator[Callable[..., None]]:
    """worker_of("scheduled", "manual"): as if this process were a worker started with `--queues`."""

    def select(*names: str) -> None:
        app.amqp.queues.select(list(names))

    yield select
    app.amqp.queues._consume_from = None


@pytest.mark.usefixtures("own_broker")
def test_a_worker_knows_its_lanes_under_whatever_names_the_queues_have(worker_of: Callable[..., None]) -> None:
    worker_of("scheduled", "celery")

    assert consumed() == {Lane.SCHEDULED}


@pytest.mark.usefixtures("own_broker")
def test_a_doorbell_starts_what_waits_in_any_lane_of_the_worker_and_in_no_other(
    db: None, queue: Callable[..., Attempt], worker_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "turn", RoundRobin())
    lanes = [Lane.BACKFILL] * 3 + [Lane.MANUAL] * 3 + [Lane.SCHEDULED] * 3
    made = [queue({"+a": {"echo>": "x"}}, name=f"wf{place}", lane=lane) for place, lane in enumerate(lanes)]
    worker_of("scheduled", "backfill")

    assert drain(Lane.BACKFILL) == 6

    states: Any = [Attempt.objects.get(pk=attempt.pk).status for attempt in made]
    assert states == [AttemptStatus.SUCCESS] * 3 + [AttemptStatus.QUEUED] * 3 + [AttemptStatus.SUCCESS] * 3


@pytest.mark.usefixtures("own_broker")
def test_a_drain_that_stops_early_rings_once_where_something_waits(
    db: None, queue: Callable[..., Attempt], worker_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "MOST_ATTEMPTS", 1)
    for place in range(3):
        queue({"+a": {"echo>": "x"}}, name=f"wf{place}", lane=Lane.BACKFILL)
    worker_of("scheduled", "manual", "backfill")

    drain(Lane.SCHEDULED)

    assert [dispatch.doorbells(lane) for lane in Lane] == [0, 0, 1]


@pytest.mark.usefixtures("own_broker")
def test_the_lane_that_was_rung_for_is_rung_again_however_many_wait_in_others(
    schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    for hour in range(121):
        lane = Lane.SCHEDULED if hour == 60 else Lane.BACKFILL
        make_attempt(schedule, NOW - hour * HOUR, status=AttemptStatus.QUEUED, lane=lane)

    draining.ring_again(Lane.SCHEDULED, set(Lane))

    assert [dispatch.doorbells(lane) for lane in Lane] == [1, 0, 0]


@pytest.mark.usefixtures("own_broker")
def test_nobody_rings_again_for_what_is_parked(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    parked = {"started_at": NOW, "released_at": datetime.now(UTC) + HOUR}
    make_attempt(schedule, status=AttemptStatus.QUEUED, **parked)

    draining.ring_again(Lane.SCHEDULED, set(Lane))

    assert [dispatch.doorbells(lane) for lane in Lane] == [0, 0, 0]
