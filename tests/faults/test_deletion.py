"""A project that is deleted while its attempts run (F21)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from projects.models import Project
from scheduler import deletion
from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Schedule
from tests.faults.conftest import PATIENCE
from tests.faults.invariants import Ledger

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]


@pytest.mark.parametrize("seed", range(2))
def test_a_project_that_is_deleted_at_any_moment_leaves_nothing_that_runs(
    worker: Start,
    beat: Start,
    ledger: Ledger,
    make_schedule: Start,
    wait_until: Start,
    at_rest: Start,
    nothing_broken: Start,
    seed: int,
) -> None:
    schedule = make_schedule("0 * * * *", document=ledger.task("sleep 0.5"), at=datetime.now(UTC), project="doomed")
    worker()
    worker()
    beat()
    for number in range(1, 5):  # each runs its attempts one after the other, and four slots are there for them
        run = {"from_time": schedule.next_session_time - timedelta(hours=8 * number), "count": 8, "dry_run": False}
        backfill(schedule_id=schedule.pk, attempt_name=f"b{number}", **run, now=datetime.now(UTC))
    wait_until(lambda: len(ledger.lines()) > 4, PATIENCE)
    time.sleep(Random(seed).uniform(0, 0.5))

    deletion.delete(Project.objects.get(name="doomed").pk, now=datetime.now(UTC))

    began = len(ledger.lines())
    at_rest()
    assert Attempt.objects.count() == 32
    assert Attempt.objects.filter(status=AttemptStatus.KILLED).count() > 8
    assert len([line for line in ledger.lines()[began:] if line[2] == "begin"]) <= 4  # one a slot was on its way
    assert not Schedule.objects.exists()
    nothing_broken()
