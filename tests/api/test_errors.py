"""Refusals have one form: JSON with `message` and `status`, under every address below /api/."""

from typing import Any

import pytest
from django.db import OperationalError, connection

from scheduler.models import Schedule

WITH_ID = [
    "schedules/{}",
    "sessions/{}",
    "sessions/{}/attempts",
    "attempts/{}",
    "backfills/{}",
    "attempts/{}/retries",
    "attempts/{}/tasks",
]
NOTHING = ["", "nothing", "schedules/", "schedules.json", "schedules/1/", "attempts/1/log", "v1/schedules", "a\nb"]
NO_IDS = ["0", "999999", "-1", "abc", "1.5", "%00", "..", "1%20", "٥", str(2**63), "9" * 30, "9" * 5000, "1;2"]


@pytest.mark.parametrize("pk", NO_IDS)
@pytest.mark.parametrize("path", WITH_ID)
def test_an_id_that_is_none_is_a_404(api: Any, path: str, pk: str) -> None:
    response = api.get(path.format(pk))

    assert (response.status_code, response.json()["status"]) == (404, 404)
    assert sorted(response.json()) == ["message", "status"]


@pytest.mark.parametrize("pk", NO_IDS)
def test_a_backfill_of_a_schedule_that_is_none_is_a_404(api: Any, pk: str) -> None:
    response = api.post(
        f"schedules/{pk}/backfill", {"attemptName": "a", "fromTime": "2026-01-01T00:00:00Z", "dryRun": True}
    )

    assert (response.status_code, response.json()["status"]) == (404, 404)


@pytest.mark.parametrize("path", NOTHING)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"])
def test_an_unknown_address_is_a_404_for_every_method(api: Any, path: str, method: str) -> None:
    response = api.client.generic(method, f"/api/{path}")

    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("schedules", "POST", "GET, HEAD"),
        ("schedules", "OPTIONS", "GET, HEAD"),
        ("schedules/1", "DELETE", "GET, HEAD"),
        ("schedules/1/backfill", "GET", "POST"),
        ("schedules/1/backfill", "PUT", "POST"),
        ("sessions", "PATCH", "GET, HEAD"),
        ("backfills", "POST", "GET, HEAD"),
        ("backfills/1/retry", "GET", "POST"),
        ("attempts", "DELETE", "GET, HEAD, PUT"),
        ("attempts/1", "TRACE", "GET, HEAD"),
    ],
)
def test_another_method_is_a_405_that_names_those_allowed(api: Any, path: str, method: str, allowed: str) -> None:
    response = api.client.generic(method, f"/api/{path}")

    assert (response.status_code, response.json()["status"]) == (405, 405)
    assert response["Allow"] == allowed


def test_head_answers_like_get_without_the_body(api: Any) -> None:
    response = api.client.head("/api/schedules")

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*", "nonsense", "application/json;q=0", ""])
def test_the_answer_is_json_whatever_is_accepted(api: Any, accept: str) -> None:
    response = api.client.get("/api/schedules", headers={"Accept": accept})

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_a_database_that_is_gone_is_a_503(api: Any, schedule: Schedule) -> None:
    def gone(*_: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(gone):
        response = api.get("schedules")

    assert response.status_code == 503
    assert response.json()["message"].startswith("The database does not answer.")
    assert response["Retry-After"] == "10"


def test_a_schedule_whose_row_holds_no_timetable_is_a_400_that_says_so(api: Any, schedule: Schedule) -> None:
    Schedule.objects.update(expression="99 * * * *")

    response = api.backfill(schedule)

    assert (response.status_code, list(response.json()["errors"])) == (400, ["schedule"])


def test_an_error_that_nobody_expected_is_not_hidden(api: Any, schedule: Schedule) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    with connection.execute_wrapper(broken), pytest.raises(RuntimeError, match="a bug"):
        api.get("schedules")
