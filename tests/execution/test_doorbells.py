"""Doorbells on their way through the broker."""

import os
import time
from typing import Any

import pytest

from scheduler import dispatch
from scheduler.broker import MAX_DOORBELLS
from scheduler.models import Lane


@pytest.mark.usefixtures("own_broker")
def test_each_lane_holds_its_own_doorbells() -> None:
    dispatch.send(Lane.MANUAL, 3)

    assert [dispatch.doorbells(lane) for lane in (Lane.SCHEDULED, Lane.MANUAL, Lane.BACKFILL)] == [0, 3, 0]


@pytest.mark.usefixtures("own_broker")
def test_the_broker_never_holds_more_than_twice_what_one_verb_rings(settings: Any) -> None:
    settings.HINDCAST_DOORBELLS = 3

    for _ in range(5):
        dispatch.send(Lane.MANUAL, 3)
    dispatch.send(Lane.BACKFILL, 1)

    assert [dispatch.doorbells(lane) for lane in (Lane.MANUAL, Lane.BACKFILL)] == [6, 1]


@pytest.mark.skipif(bool(os.environ.get("TEST_BROKER_URL")), reason="a property of the embedded broker")
@pytest.mark.usefixtures("own_broker")
def test_the_embedded_broker_drops_doorbells_that_say_nothing_new(settings: Any) -> None:
    settings.HINDCAST_DOORBELLS = MAX_DOORBELLS

    dispatch.send(Lane.MANUAL, MAX_DOORBELLS + 6)

    assert dispatch.doorbells(Lane.MANUAL) == MAX_DOORBELLS


@pytest.mark.usefixtures("own_broker")
def test_asking_and_ringing_cost_a_request_little() -> None:
    dispatch.send(Lane.MANUAL, 1)
    spent = []
    for _ in range(21):
        began = time.perf_counter()
        dispatch.send(Lane.MANUAL, 1)
        spent.append(time.perf_counter() - began)

    assert sorted(spent)[10] < 0.03
