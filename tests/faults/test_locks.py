"""A database that answers late, or not for a while: F24."""

import json
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connection

from scheduler.models import Attempt
from tests.faults.conftest import PATIENCE
from tests.faults.invariants import Ledger
from tests.faults.line import Line
from tests.faults.test_web import answers, post
from tests.processes import database_url

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres, pytest.mark.long]

Start = Callable[..., Any]
REFUSED_WITHIN = 30.0


@pytest.fixture
def database_line(transactional_db: None) -> Iterator[Line]:
    line = Line((connection.settings_dict["HOST"], int(connection.settings_dict["PORT"] or 5432)))
    yield line
    line.close()


def by(line: Line) -> dict[str, str]:
    """The environment of a process that reaches the test's database by this line."""
    parts = urlsplit(database_url())
    who = parts.netloc.rpartition("@")[0]
    return {"DATABASE_URL": urlunsplit(parts._replace(netloc=f"{who}@127.0.0.1:{line.port}"))}


def test_a_slow_database_costs_no_attempt_its_lease(
    database_line: Line, worker: Start, beat: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start
) -> None:
    lease = {"HINDCAST_LEASE_SECONDS": "12", "HINDCAST_RENEW_SECONDS": "2"}
    worker(**by(database_line), **lease)
    beat(**lease)
    database_line.delay = 0.1  # each way

    queued = queue(ledger.task("sleep 0.5"), 6)

    at_rest(2 * PATIENCE)
    for attempt in queued:
        attempt.refresh_from_db()
        assert (attempt.status, attempt.deliveries, ledger.begins(attempt.pk)) == ("success", 1, 1)
    nothing_broken()


def test_a_table_that_a_stranger_locks_is_refused_for_a_while_and_loses_nothing(
    web: Start,
    worker: Start,
    beat: Start,
    queue: Start,
    make_schedule: Start,
    ledger: Ledger,
    api_key: str,
    at_rest: Start,
    wait_until: Start,
    nothing_broken: Start,
) -> None:
    schedule = make_schedule("0 * * * *", document=ledger.task(), at=datetime.now(UTC))
    path = f"/api/schedules/{schedule.pk}/backfill"
    asked = {"attemptName": "again", "dryRun": False}
    asked["fromTime"] = (schedule.next_session_time - timedelta(hours=3)).isoformat()
    address = web().address
    wait_until(lambda: answers(address), PATIENCE)
    processes = [worker(), beat()]
    queued = queue(ledger.task("sleep 1"), 4)
    wait_until(lambda: len(ledger.lines()) > 0, PATIENCE)

    with psycopg.connect(database_url()) as stranger, ThreadPoolExecutor(1) as pool:
        stranger.execute("LOCK TABLE scheduler_attempt")
        refused = pool.submit(refusal, f"{address}{path}", asked, api_key).result(REFUSED_WITHIN)

    assert refused == (503, "5")
    at_rest(2 * PATIENCE)
    assert [process.process.poll() for process in processes] == [None, None]
    assert {Attempt.objects.get(pk=attempt.pk).status for attempt in queued} == {"success"}
    assert len(post(f"{address}{path}", asked, api_key)["attempts"]) == 3
    at_rest()
    nothing_broken()


def refusal(url: str, body: dict[str, Any], key: str) -> tuple[int, str | None]:
    try:
        return 200, json.dumps(post(url, body, key))
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Retry-After"]
