"""Skipping, disabling and enabling schedules over the wire. The schedule is hourly; its next session is at 13:00."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.models import Scope
from scheduler.models import Schedule, Skip


@pytest.fixture
def keeper(make_user: Callable[..., User]) -> User:
    return make_user("kim", "scheduler.change_schedule")


@pytest.fixture
def api(keeper: User, make_api: Callable[..., Any]) -> Any:
    return make_api(keeper)


def skip(api: Any, schedule: Schedule, **fields: Any) -> Any:
    return api.post(f"schedules/{schedule.pk}/skip", fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"nextTime": "2026-03-02T16:00:00Z"},
        {"nextTime": "2026-03-02T15:00:01+00:00"},
        {"nextTime": "2026-03-02 16:00:00"},
        {"fromTime": "2026-03-02T13:00:00Z", "count": 3},
    ],
)
def test_the_sessions_before_the_time_are_skipped(api: Any, schedule: Schedule, fields: dict[str, Any]) -> None:
    response = skip(api, schedule, **fields)

    assert response.status_code == 200
    for name, value in api.get(f"schedules/{schedule.pk}").json().items():
        assert response.json()[name] == value
    assert response.json()["nextScheduleTime"] == "2026-03-02T16:00:00+00:00"
    assert [(skip.session_time.hour, skip.reason) for skip in Skip.objects.order_by("session_time")] == [
        *((13, "requested"), (14, "requested"), (15, "requested")),
    ]


def test_a_time_without_an_offset_is_local_to_the_workflows_zone(
    api: Any, make_schedule: Callable[..., Schedule]
) -> None:
    schedule = make_schedule(timezone="Asia/Tokyo")

    assert skip(api, schedule, nextTime="2026-03-03T00:00:00").json()["nextRunTime"] == "2026-03-02T15:00:00Z"


def test_a_dry_run_answers_the_same_and_stores_nothing(api: Any, schedule: Schedule) -> None:
    before = Schedule.objects.values().get()

    dry = skip(api, schedule, nextTime="2026-03-02T16:00:00Z", dryRun=True).json()

    assert (Schedule.objects.values().get(), Skip.objects.count()) == (before, 0)
    assert skip(api, schedule, nextTime="2026-03-02T16:00:00Z", dryRun=False).json() == dry


def test_the_next_run_time_is_as_given(api: Any, schedule: Schedule) -> None:
    answer = skip(api, schedule, nextTime="2026-03-02T16:00:00Z", nextRunTime="2026-03-02T17:30:00Z").json()

    assert (answer["nextScheduleTime"], answer["nextRunTime"]) == (
        *("2026-03-02T16:00:00+00:00", "2026-03-02T17:30:00Z"),
    )


def test_skipping_past_the_end_leaves_no_next_session(api: Any, make_schedule: Callable[..., Schedule]) -> None:
    schedule = make_schedule(end_date=datetime(2026, 3, 2).date())  # noqa: DTZ001

    answer = skip(api, schedule, nextTime="2027-01-01T00:00:00Z").json()

    assert answer["nextScheduleTime"] == "9999-01-01T00:00:00+00:00"
    assert Skip.objects.count() == 11


@pytest.mark.parametrize("time", ["2026-03-02T13:00:00Z", "2026-03-02T12:30:00Z", "2020-01-01T00:00:00Z"])
def test_a_time_that_is_not_after_the_next_session_is_a_conflict(api: Any, schedule: Schedule, time: str) -> None:
    response = skip(api, schedule, nextTime=time)

    assert (response.status_code, response.json()["status"]) == (409, 409)
    assert not Skip.objects.exists()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "nextTime"),
        ({"nextTime": "tomorrow"}, "nextTime"),
        ({"nextTime": 5}, "nextTime"),
        ({"nextTime": "2026-03-02T16:00:00Z", "count": 1}, "nextTime"),
        ({"nextTime": "9999-12-31T23:59:59-23:00"}, "nextTime"),
        ({"nextTime": "2036-03-02T16:00:00Z"}, "nextTime"),
        ({"fromTime": "2026-03-02T16:00:00Z"}, "count"),
        ({"fromTime": "2026-03-02T16:00:00", "count": 1}, "fromTime"),
        ({"fromTime": "2026-03-02T16:00:00Z", "count": 0}, "count"),
        ({"fromTime": "2026-03-02T16:00:00Z", "count": 10_001}, "count"),
        ({"fromTime": "2026-03-02T16:00:00Z", "count": "3"}, "count"),
        ({"fromTime": "2036-03-02T16:00:00Z", "count": 1}, "fromTime"),
        ({"nextTime": "2026-03-02T16:00:00Z", "nextRunTime": "2026-03-02T15:59:59Z"}, "nextRunTime"),
        ({"nextTime": "2026-03-02T16:00:00Z", "nextRunTime": "2026-03-02T16:00:00"}, "nextRunTime"),
        ({"nextTime": "2026-03-02T16:00:00Z", "dryRun": 1}, "dryRun"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_written(
    api: Any, schedule: Schedule, fields: dict[str, Any], wrong: str
) -> None:
    before = Schedule.objects.values().get()

    response = skip(api, schedule, **fields)

    assert response.status_code == 400
    assert list(response.json()["errors"]) == [wrong]
    assert (Schedule.objects.values().get(), Skip.objects.count()) == (before, 0)


def test_more_sessions_than_one_skip_takes_are_refused_naming_the_number(api: Any, schedule: Schedule) -> None:
    assert "10000" in skip(api, schedule, nextTime="2036-03-02T16:00:00Z").json()["message"]


# --- the switches -------------------------------------------------------------------------------------------


def test_disabling_and_enabling_take_no_body(api: Any, schedule: Schedule) -> None:
    disabled = api.post(f"schedules/{schedule.pk}/disable", b"", content_type="")
    enabled = api.post(f"schedules/{schedule.pk}/enable", b"", content_type="")

    assert (disabled.status_code, disabled.json()["disabledAt"]) == (200, "2026-03-02T12:00:00Z")
    assert (enabled.status_code, enabled.json()["disabledAt"]) == (200, None)


def test_disabling_twice_keeps_the_first_moment(api: Any, make_schedule: Callable[..., Schedule]) -> None:
    schedule = make_schedule(disabled_at=datetime.fromisoformat("2026-01-01T00:00:00Z"))

    answer = api.post(f"schedules/{schedule.pk}/disable", b"").json()

    assert answer["disabledAt"] == "2026-01-01T00:00:00Z"


@pytest.fixture
def behind(make_schedule: Callable[..., Schedule]) -> Schedule:
    """Disabled since 09:30; its next session is at 10:00, and it is 12:00."""
    at = datetime.fromisoformat("2026-03-02T09:30:00Z")
    return make_schedule(at=at, disabled_at=at)


@pytest.mark.parametrize(
    ("fields", "following", "skipped"),
    [
        ({}, 10, []),
        ({"skipSchedule": False}, 10, []),
        ({"skipSchedule": True}, 12, [10, 11]),
        ({"skipSchedule": True, "nextTime": "2026-03-02T11:00:00"}, 11, [10]),
    ],
)
def test_enabling_runs_what_came_due_or_skips_it(
    api: Any, behind: Schedule, fields: dict[str, Any], following: int, skipped: list[int]
) -> None:
    response = api.post(f"schedules/{behind.pk}/enable", fields)

    assert response.status_code == 200
    behind.refresh_from_db()
    assert (behind.disabled_at, behind.next_session_time.hour) == (None, following)
    assert [(skip.session_time.hour, skip.reason) for skip in Skip.objects.order_by("session_time")] == [
        (hour, "disabled") for hour in skipped
    ]


@pytest.mark.parametrize("fields", [{}, {"next_session_time": None, "next_run_time": None}])
def test_enabling_with_a_skip_where_nothing_came_due_just_enables(
    api: Any, make_schedule: Callable[..., Schedule], fields: dict[str, Any]
) -> None:
    schedule = make_schedule(disabled_at=datetime.fromisoformat("2026-03-02T12:00:00Z"), **fields)
    at = schedule.next_session_time

    response = api.post(f"schedules/{schedule.pk}/enable", {"skipSchedule": True})

    assert (response.status_code, response.json()["disabledAt"]) == (200, None)
    schedule.refresh_from_db()
    assert (schedule.disabled_at, schedule.next_session_time, Skip.objects.count()) == (None, at, 0)


def test_enabling_with_a_skip_that_cannot_be_leaves_it_disabled(api: Any, behind: Schedule) -> None:
    past, wrong = (
        api.post(f"schedules/{behind.pk}/enable", {"skipSchedule": True, "nextTime": time}).status_code
        for time in ("2026-03-02T09:00:00Z", "soon")
    )

    assert (past, wrong) == (409, 400)
    behind.refresh_from_db()
    assert behind.disabled_at is not None


@pytest.mark.parametrize("verb", ["skip", "disable", "enable"])
def test_it_needs_the_scope_and_the_permission(
    keeper: User, operator: User, make_api: Callable[..., Any], nobody: Any, schedule: Schedule, verb: str
) -> None:
    path, before = f"schedules/{schedule.pk}/{verb}", Schedule.objects.values().get()

    codes = [
        api.post(path, {"nextTime": "2026-03-02T16:00:00Z"}).status_code
        for api in (nobody, make_api(operator), make_api(keeper, scopes=[Scope.READ]))
    ]

    assert codes == [401, 403, 403]
    assert Schedule.objects.values().get() == before
    schedule.workflow.project.groups.create(name="insiders")
    assert make_api(keeper).post(path, {"nextTime": "2026-03-02T16:00:00Z"}).status_code == 404
