"""Brokers that are away, emptied, or say the same thing again and again: F6, F8, F20."""

from collections.abc import Callable
from typing import Any

import pytest

from scheduler import dispatch
from scheduler.celery import app
from scheduler.models import Attempt, Lane
from tests.faults.conftest import PATIENCE

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]


def purge() -> None:
    with app.connection_for_write() as broker:
        for queue in app.conf.task_queues:
            queue(broker.default_channel).purge()


def test_work_whose_doorbells_were_purged_runs_all_the_same(
    worker: Start, beat: Start, queue: Start, ledger: Any, wait_until: Start, at_rest: Start, nothing_broken: Start
) -> None:
    worker()
    beat()
    queued = queue(ledger.task("sleep 0.1"), 30)
    wait_until(lambda: len(ledger.lines()) > 4, PATIENCE)

    purge()
    more = queue(ledger.task(), 5)
    purge()

    at_rest()
    for attempt in [*queued, *more]:
        attempt.refresh_from_db()
        assert (attempt.status, ledger.begins(attempt.pk)) == ("success", 1)
    nothing_broken()


def test_eight_doorbells_for_one_attempt_start_it_once(
    worker: Start, queue: Start, ledger: Any, at_rest: Start, nothing_broken: Start, wait_until: Start
) -> None:
    worker()
    worker()
    queued = []

    for _ in range(10):
        queued += queue(ledger.task(), ring=False)
        dispatch.send(Lane.MANUAL, 8)

    at_rest()
    wait_until(lambda: dispatch.doorbells(Lane.MANUAL) == 0, PATIENCE)
    assert [ledger.begins(attempt.pk) for attempt in queued] == [1] * 10
    assert {Attempt.objects.get(pk=attempt.pk).deliveries for attempt in queued} == {1}
    nothing_broken()


def test_a_task_that_takes_longer_than_the_broker_waits_runs_once(
    worker: Start, beat: Start, queue: Start, ledger: Any, at_rest: Start, nothing_broken: Start
) -> None:
    impatient = {"HINDCAST_TEST_VISIBILITY_SECONDS": "1"}
    worker(**impatient)
    worker(**impatient)
    beat()
    (attempt,) = queue(ledger.task("sleep 6"))

    at_rest()
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries, ledger.begins(attempt.pk)) == ("success", 1, 1)
    nothing_broken()
