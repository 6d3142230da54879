"""A web process that is killed in the middle of a request to backfill: F3.

Eight requests at once for the same backfill (F13) are tried in tests/api/test_races.py.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from scheduler import dispatch
from scheduler.models import Attempt, Backfill, Session

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]
SLOTS = 12
KILLED = (http.client.HTTPException, urllib.error.URLError, ConnectionError)


@pytest.mark.parametrize(
    ("point", "written", "answer"), [("backfill.before_commit", 0, 200), ("dispatch.before_send", SLOTS, 409)]
)
def test_a_backfill_whose_web_process_was_killed_is_there_as_a_whole_or_not_at_all(
    web: Start,
    worker: Start,
    make_schedule: Start,
    ledger: Any,
    api_key: str,
    at_rest: Start,
    nothing_broken: Start,
    wait_until: Start,
    point: str,
    written: int,
    answer: int,
) -> None:
    schedule = make_schedule("0 * * * *", document=ledger.task(), at=datetime.now(UTC))
    first = (schedule.next_session_time - timedelta(hours=SLOTS)).isoformat()
    path = f"/api/schedules/{schedule.pk}/backfill"
    body = json.dumps({"attemptName": "again", "fromTime": first, "dryRun": False})
    headers = {"Authorization": f"TD1 {api_key}", "Content-Type": "application/json"}
    address = web(HINDCAST_CRASH_AT=point).address
    wait_until(lambda: answers(address), 60)

    with pytest.raises(KILLED):
        urllib.request.urlopen(urllib.request.Request(address + path, body.encode(), headers), timeout=60)

    assert (Session.objects.count(), Attempt.objects.count()) == (written, written)
    again = Client(headers={"Authorization": headers["Authorization"]}).post(path, body, "application/json")
    assert again.status_code == answer
    assert (Backfill.objects.count(), Attempt.objects.count()) == (1, SLOTS)
    worker()
    Attempt.objects.filter(released_at__isnull=False).update(released_at=datetime.now(UTC) - timedelta(minutes=1))
    dispatch.resend(now=datetime.now(UTC))
    at_rest()
    nothing_broken()


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/api/projects", timeout=10)
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.1)
        return False
    return True


def post(url: str, body: dict[str, Any], key: str) -> Any:
    """The answer to a request with an API key. Raises HTTPError for a refusal."""
    headers = {"Authorization": f"TD1 {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60) as answer:
        return json.load(answer)
