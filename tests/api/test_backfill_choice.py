"""Which sessions of a time a backfill over the wire runs, how many of them at once, and what waits in its way."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule


def test_what_failed_before_a_time_is_run_two_at_once(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    for hours, status in ((2, AttemptStatus.ERROR), (1, AttemptStatus.SUCCESS), (0, AttemptStatus.ERROR)):
        make_attempt(schedule, now - timedelta(hours=hours), status=status)

    response = api.backfill(schedule, toTime="2026-03-02T12:00:00Z", only="failed", concurrency=2)

    assert [one["sessionTime"] for one in response.json()["attempts"]] == ["2026-03-02T10:00:00+00:00"]
    backfill = Backfill.objects.get()
    assert (backfill.to_time, backfill.only, backfill.concurrency) == (now, "failed", 2)


@pytest.mark.parametrize("field", ["toTime", "only", "concurrency"])
def test_a_choice_that_is_null_is_none(api: Any, schedule: Schedule, field: str) -> None:
    assert len(api.backfill(schedule, **{field: None}).json()["attempts"]) == 3


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("toTime", "tomorrow", "Give a time with its offset"),
        ("toTime", "2026-03-02T10:00:00Z", "not after the time to start from"),
        ("only", "some", "Give one of all, missing, failed, missing_or_failed."),
        ("only", True, "Give one of"),
        ("only", ["failed"], "Give one of"),
        ("concurrency", 0, "from 1 to 100"),
        ("concurrency", 2.5, "Give a whole number."),
        ("concurrency", True, "Give a whole number."),
    ],
)
def test_a_wrong_choice_names_the_field_and_writes_nothing(
    api: Any, schedule: Schedule, field: str, value: object, text: str
) -> None:
    answer = api.backfill(schedule, **{field: value})

    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert text in answer.json()["errors"][field][0]
    assert not Backfill.objects.exists()


def test_a_conflict_with_an_attempt_that_waits_to_go_on_says_that_it_is_running_as_the_attempt_does(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    parked = make_attempt(schedule, now, status=AttemptStatus.QUEUED, started_at=now)

    (conflict,) = api.backfill(schedule).json()["conflicts"]

    assert conflict["attemptStatus"] == api.get(f"attempts/{parked.pk}").json()["status"] == "running"
    assert conflict["reason"] == f"attempt {parked.pk} is running"
