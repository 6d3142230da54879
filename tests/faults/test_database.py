"""Database connections that are cut under load: F7."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connection

from scheduler.models import Attempt, Lane, Schedule, Session
from tests.faults.conftest import PATIENCE

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_cut_connections_end_no_process_and_lose_no_attempt(
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Any,
    wait_until: Start,
    at_rest: Start,
    nothing_broken: Start,
    pool: str,
) -> None:
    processes = [worker(pool), beat()]
    queued = queue(ledger.task("sleep 0.1"), 40)

    for started in range(4, 24, 4):
        wait_until(lambda: len(ledger.lines()) > started, PATIENCE)  # noqa: B023
        with connection.cursor() as cursor:
            cursor.execute(CUT)

    at_rest()
    assert [process.process.poll() for process in processes] == [None, None]
    assert {Attempt.objects.get(pk=attempt.pk).status for attempt in queued} == {"success"}
    nothing_broken()


def test_of_eight_that_forget_every_lock_one_starts_the_session(
    schedule: Schedule, make_session: Callable[..., Session], now: datetime, nothing_broken: Start
) -> None:
    session = make_session(schedule, now)
    barrier = Barrier(8, timeout=30)

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda number: insert(schedule, session, number, barrier), range(1, 9)))

    assert sum(started) == 1
    nothing_broken()


def insert(schedule: Schedule, session: Session, number: int, barrier: Barrier) -> bool:
    row = {"index": number, "name": f"by {number}", "is_latest": False, "lane": Lane.MANUAL, "released_at": None}
    barrier.wait()
    try:
        Attempt.objects.create(
            session=session,
            workflow_id=schedule.workflow_id,
            definition_id=schedule.definition_id,
            created_at=datetime.now(UTC),
            **row,
        )
    except IntegrityError:
        return False
    finally:
        connection.close()
    return True
