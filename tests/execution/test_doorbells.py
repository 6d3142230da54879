"""Doorbells on their way through the broker."""

import os

import pytest

from scheduler import dispatch
from scheduler.broker import MAX_DOORBELLS
from scheduler.models import Lane


@pytest.mark.usefixtures("own_broker")
def test_each_lane_holds_its_own_doorbells() -> None:
    dispatch.send(Lane.MANUAL, 3)

    assert [dispatch.doorbells(lane) for lane in (Lane.SCHEDULED, Lane.MANUAL, Lane.BACKFILL)] == [0, 3, 0]


@pytest.mark.skipif(bool(os.environ.get("TEST_BROKER_URL")), reason="a property of the embedded broker")
@pytest.mark.usefixtures("own_broker")
def test_the_embedded_broker_drops_doorbells_that_say_nothing_new() -> None:
    dispatch.send(Lane.MANUAL, MAX_DOORBELLS + 6)

    assert dispatch.doorbells(Lane.MANUAL) == MAX_DOORBELLS
