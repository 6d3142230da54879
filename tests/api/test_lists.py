"""Lists and single rows: keys and forms, order, paging by key, filters, and a fixed number of queries."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from scheduler.models import Attempt, AttemptStatus, Schedule, Session, TaskRun, TaskState

BIGINT_END = 2**63


@pytest.fixture
def history(schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime) -> list[Attempt]:
    """Three sessions; the second has two attempts. In order of id."""
    return [
        make_attempt(schedule, now - timedelta(hours=3)),
        make_attempt(schedule, now - timedelta(hours=2), status=AttemptStatus.ERROR),
        make_attempt(schedule, now - timedelta(hours=2), name="again", params={"a": [1, None]}),
        make_attempt(schedule, now - timedelta(hours=1), status=AttemptStatus.RUNNING),
    ]


def ids(response: Any, name: str) -> list[int]:
    return [int(entry["id"]) for entry in response.json()[name]]


# --- schedules --------------------------------------------------------------------------------------------


def test_a_schedule_shows_its_next_times(api: Any, make_schedule: Callable[..., Schedule], now: datetime) -> None:
    daily = make_schedule("07:00:00", kind="daily", timezone="Asia/Tokyo", disabled_at=now)

    assert api.get(f"schedules/{daily.pk}").json() == {
        "id": str(daily.pk),
        "project": {"id": str(daily.workflow.project_id), "name": "sales"},
        "workflow": {"id": str(daily.definition_id), "name": "hourly_report"},
        "nextRunTime": "2026-03-02T22:00:00Z",
        "nextScheduleTime": "2026-03-03T00:00:00+09:00",
        "disabledAt": "2026-03-02T12:00:00Z",
    }


def test_an_enabled_schedule_has_a_null_disabled_at(api: Any, schedule: Schedule) -> None:
    assert api.get(f"schedules/{schedule.pk}").json()["disabledAt"] is None


def test_a_schedule_that_never_runs_again_shows_the_year_9999(api: Any, make_schedule: Callable[..., Schedule]) -> None:
    ended = make_schedule(timezone="Asia/Tokyo", end_date=date(2026, 1, 1))

    document = api.get(f"schedules/{ended.pk}").json()

    assert document["nextRunTime"] == "9999-01-01T00:00:00Z"
    assert document["nextScheduleTime"] == "9999-01-01T00:00:00+00:00"


def test_fractions_of_seconds_are_cut_off(api: Any, make_schedule: Callable[..., Schedule], now: datetime) -> None:
    schedule = make_schedule(disabled_at=now + timedelta(microseconds=999_999))

    assert api.get(f"schedules/{schedule.pk}").json()["disabledAt"] == "2026-03-02T12:00:00Z"


def test_a_time_whose_offset_has_seconds_is_shown_in_utc(
    api: Any, make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    amsterdam = make_schedule(timezone="Europe/Amsterdam")
    attempt = make_attempt(amsterdam, datetime(1850, 1, 1, tzinfo=UTC))

    assert api.get(f"attempts/{attempt.pk}").json()["sessionTime"] == "1850-01-01T00:00:00+00:00"


def test_a_zone_that_is_not_known_does_not_spoil_the_list(api: Any, schedule: Schedule) -> None:
    Schedule.objects.update(timezone="Mars/Base")

    assert api.get("schedules").json()["schedules"][0]["nextScheduleTime"] == "2026-03-02T13:00:00+00:00"


def test_schedules_are_listed_by_rising_id_and_paged(api: Any, make_schedule: Callable[..., Schedule]) -> None:
    pks = [make_schedule(name=f"w{number}").pk for number in range(5)]

    assert ids(api.get("schedules"), "schedules") == pks
    assert ids(api.get("schedules", page_size=2), "schedules") == pks[:2]
    assert ids(api.get("schedules", page_size=2, last_id=pks[1]), "schedules") == pks[2:4]
    assert ids(api.get("schedules", last_id=pks[-1]), "schedules") == []


# --- sessions ---------------------------------------------------------------------------------------------


def test_a_session_shows_its_latest_attempt(api: Any, history: list[Attempt]) -> None:
    session = history[2].session

    document = api.get(f"sessions/{session.pk}").json()

    assert document == {
        "id": str(session.pk),
        "project": {"id": str(session.workflow.project_id), "name": "sales"},
        "workflow": {"id": str(history[2].definition_id), "name": "hourly_report"},
        "sessionUuid": str(session.uuid),
        "sessionTime": "2026-03-02T10:00:00+00:00",
        "lastAttempt": {
            "id": str(history[2].pk),
            "index": 2,
            "retryAttemptName": "again",
            "params": {"a": [1, None]},
            "status": "success",
            "done": True,
            "success": True,
            "cancelRequested": False,
            "createdAt": "2026-03-02T12:00:00Z",
            "finishedAt": "2026-03-02T12:00:00Z",
        },
    }
    assert api.get("sessions").json()["sessions"][1] == document


def test_a_session_without_an_attempt_has_none(
    api: Any, schedule: Schedule, make_session: Callable[..., Session], now: datetime
) -> None:
    session = make_session(schedule, now)

    document = api.get(f"sessions/{session.pk}").json()

    assert document["lastAttempt"] is None
    assert document["workflow"] == {"name": "hourly_report"}


def test_sessions_are_listed_by_falling_id_and_paged(api: Any, history: list[Attempt]) -> None:
    pks = sorted({attempt.session_id for attempt in history}, reverse=True)

    assert ids(api.get("sessions"), "sessions") == pks
    assert ids(api.get("sessions", page_size=2), "sessions") == pks[:2]
    assert ids(api.get("sessions", page_size=2, last_id=pks[1]), "sessions") == pks[2:]


def test_the_attempts_of_a_session_are_listed_newest_first_and_paged(api: Any, history: list[Attempt]) -> None:
    path = f"sessions/{history[1].session_id}/attempts"

    assert ids(api.get(path), "attempts") == [history[2].pk, history[1].pk]
    assert ids(api.get(path, page_size=1), "attempts") == [history[2].pk]
    assert ids(api.get(path, last_id=history[2].pk), "attempts") == [history[1].pk]


# --- attempts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "done", "success"),
    [
        ("queued", False, False),
        ("running", False, False),
        ("canceling", False, False),
        ("success", True, True),
        ("error", True, False),
        ("killed", True, False),
    ],
)
def test_an_attempt_shows_its_state(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], status: str, done: bool, success: bool
) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus(status))

    document = api.get(f"attempts/{attempt.pk}").json()

    assert (document["status"], document["done"], document["success"]) == (status, done, success)
    assert ("finishedAt" in document) is done


def test_an_attempt_shows_that_it_was_told_to_end(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus.CANCELING, cancel_requested_at=now)

    assert api.get(f"attempts/{attempt.pk}").json()["cancelRequested"] is True


def test_the_first_attempt_of_a_session_has_no_name(api: Any, history: list[Attempt]) -> None:
    assert "retryAttemptName" not in api.get(f"attempts/{history[0].pk}").json()


def test_attempts_are_the_latest_of_each_session(api: Any, history: list[Attempt]) -> None:
    assert ids(api.get("attempts"), "attempts") == [history[3].pk, history[2].pk, history[0].pk]


@pytest.mark.parametrize("yes", ["True", "true", "1"])
def test_include_retried_lists_all_attempts(api: Any, history: list[Attempt], yes: str) -> None:
    assert ids(api.get("attempts", include_retried=yes), "attempts") == [attempt.pk for attempt in reversed(history)]


@pytest.mark.parametrize("no", ["False", "false", "0"])
def test_include_retried_can_be_false(api: Any, history: list[Attempt], no: str) -> None:
    assert len(ids(api.get("attempts", include_retried=no), "attempts")) == 3


def test_attempts_are_paged(api: Any, history: list[Attempt]) -> None:
    assert ids(api.get("attempts", page_size=2), "attempts") == [history[3].pk, history[2].pk]
    assert ids(api.get("attempts", page_size=2, last_id=history[2].pk), "attempts") == [history[0].pk]


def test_attempts_can_be_asked_for_by_project_and_workflow(
    api: Any, make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    a, b, c = (
        make_attempt(make_schedule(project=project, name=name))
        for project, name in [("p", "load"), ("p", "mail"), ("q", "load")]
    )

    assert ids(api.get("attempts", project="p"), "attempts") == [b.pk, a.pk]
    assert ids(api.get("attempts", workflow="load"), "attempts") == [c.pk, a.pk]
    assert ids(api.get("attempts", project="p", workflow="load"), "attempts") == [a.pk]
    assert ids(api.get("attempts", project="p", workflow="nothing"), "attempts") == []


@pytest.mark.parametrize("name", ["nothing", "", "sal", "sales2", "~", "*", "SALES", "' OR 1=1--", "-1"])
def test_an_unknown_project_is_a_404(api: Any, history: list[Attempt], name: str) -> None:
    response = api.get("attempts", project=name)

    assert (response.status_code, response.json()["status"]) == (404, 404)


def test_retries_are_all_attempts_of_the_session_by_index(api: Any, history: list[Attempt]) -> None:
    assert ids(api.get(f"attempts/{history[2].pk}/retries"), "attempts") == [history[1].pk, history[2].pk]


def test_an_attempt_is_shown_the_same_everywhere(api: Any, history: list[Attempt]) -> None:
    alone = api.get(f"attempts/{history[3].pk}").json()

    assert api.get("attempts").json()["attempts"][0] == alone
    assert api.get(f"attempts/{history[3].pk}/retries").json()["attempts"][0] == alone
    assert api.get(f"sessions/{history[3].session_id}/attempts").json()["attempts"][0] == alone


def test_any_text_in_a_parameter_comes_out_as_it_went_in(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    params = {"ü": "</script>\u2028", "x": "\x1b[31m", "n": 10**30, "deep": [[{}]]}
    attempt = make_attempt(schedule, params=params)

    assert api.get(f"attempts/{attempt.pk}").json()["params"] == params


# --- tasks ------------------------------------------------------------------------------------------------


@pytest.fixture
def tasks(history: list[Attempt], now: datetime) -> list[TaskRun]:
    """A workflow with two steps; the first failed, the second never began."""
    return [
        TaskRun.objects.create(attempt=history[1], position=position, updated_at=now, **fields)
        for position, fields in enumerate(
            [
                {"full_name": "+w", "is_group": True, "state": TaskState.GROUP_ERROR, "started_at": now},
                {
                    "full_name": "+w+a",
                    "parent": 0,
                    "state": TaskState.ERROR,
                    "config": {"fail>": "no"},
                    "error": {"message": "no"},
                    "store_params": {"rows": 3},
                    "started_at": now,
                },
                {"full_name": "+w+b", "parent": 0, "upstreams": [1], "config": {"echo>": "b"}},
            ]
        )
    ]


def test_tasks_point_at_each_other_by_id(api: Any, history: list[Attempt], tasks: list[TaskRun]) -> None:
    root, first, second = api.get(f"attempts/{history[1].pk}/tasks").json()["tasks"]

    assert [entry["fullName"] for entry in (root, first, second)] == ["+w", "+w+a", "+w+b"]
    assert (root["parentId"], first["parentId"], second["parentId"]) == (None, root["id"], root["id"])
    assert (root["upstreams"], first["upstreams"], second["upstreams"]) == ([], [], [first["id"]])


def test_a_task_shows_all_that_clients_know(api: Any, history: list[Attempt], tasks: list[TaskRun]) -> None:
    assert api.get(f"attempts/{history[1].pk}/tasks").json()["tasks"][1] == {
        "id": str(tasks[1].pk),
        "fullName": "+w+a",
        "parentId": str(tasks[0].pk),
        "config": {"fail>": "no"},
        "upstreams": [],
        "state": "error",
        "cancelRequested": False,
        "exportParams": {},
        "storeParams": {"rows": 3},
        "stateParams": {},
        "updatedAt": "2026-03-02T12:00:00Z",
        "retryAt": None,
        "startedAt": "2026-03-02T12:00:00Z",
        "error": {"message": "no"},
        "isGroup": False,
    }


def test_a_task_that_is_tried_again_shows_when_and_how_often(
    api: Any, history: list[Attempt], tasks: list[TaskRun], now: datetime
) -> None:
    TaskRun.objects.filter(pk=tasks[1].pk).update(
        state=TaskState.RETRY_WAITING, retry_at=now + timedelta(minutes=5), state_params={"retries": 2, "tries": 7}
    )

    shown = api.get(f"attempts/{history[1].pk}/tasks").json()["tasks"][1]

    assert (shown["retryAt"], shown["stateParams"]) == ("2026-03-02T12:05:00Z", {"retry_count": 2})


def test_only_unfinished_tasks_of_a_canceled_attempt_show_it(
    api: Any, history: list[Attempt], tasks: list[TaskRun], now: datetime
) -> None:
    Attempt.objects.filter(pk=history[1].pk).update(cancel_requested_at=now)

    entries = api.get(f"attempts/{history[1].pk}/tasks").json()["tasks"]

    assert [entry["cancelRequested"] for entry in entries] == [False, False, True]


def test_an_attempt_that_has_not_begun_has_no_tasks(api: Any, history: list[Attempt]) -> None:
    assert api.get(f"attempts/{history[0].pk}/tasks").json() == {"tasks": []}


# --- wrong parameters ---------------------------------------------------------------------------------------

LISTS = ["schedules", "sessions", "attempts", "backfills"]
NO_SIZES = ["0", "-1", "101", "1000000000", "1e3", "1.5", "ten", "", " 5", "+5", "٥", "9" * 5000, "true", "\0"]
NO_IDS = ["-1", "1.0", "x", "", "0x10", "٥", str(BIGINT_END), "9" * 5000, "null", "1,2", "\0"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("value", NO_SIZES)
def test_a_wrong_page_size_is_named(api: Any, path: str, value: str) -> None:
    response = api.get(path, page_size=value)

    assert (response.status_code, list(response.json()["errors"])) == (400, ["page_size"])


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("value", NO_IDS)
def test_a_wrong_last_id_is_named(api: Any, path: str, value: str) -> None:
    response = api.get(path, last_id=value)

    assert (response.status_code, list(response.json()["errors"])) == (400, ["last_id"])


@pytest.mark.parametrize("value", ["TRUE", "yes", "", "2", "null", "on"])
def test_a_wrong_include_retried_is_named(api: Any, value: str) -> None:
    response = api.get("attempts", include_retried=value)

    assert (response.status_code, list(response.json()["errors"])) == (400, ["include_retried"])


@pytest.mark.parametrize("name", ["project", "workflow"])
def test_a_name_with_a_nul_is_named(api: Any, name: str) -> None:
    response = api.get("attempts", **{name: "a\0b"})

    assert (response.status_code, list(response.json()["errors"])) == (400, [name])


@pytest.mark.parametrize("name", ["last_id", "page_size", "project", "workflow", "include_retried"])
def test_a_parameter_given_twice_is_named(api: Any, name: str) -> None:
    response = api.get("attempts", **{name: ["1", "1"]})

    assert (response.status_code, list(response.json()["errors"])) == (400, [name])


def test_the_largest_id_is_one(api: Any, history: list[Attempt]) -> None:
    assert len(ids(api.get("attempts", last_id=BIGINT_END - 1), "attempts")) == 3


def test_unknown_parameters_are_ignored(api: Any, history: list[Attempt]) -> None:
    query = {"ordering": "user__password", "status__regex": "(a+)+$", "format": "xml"}

    assert len(ids(api.get("attempts", **query), "attempts")) == 3


def test_too_many_parameters_are_a_400(api: Any) -> None:
    response = api.client.get("/api/attempts?" + "&".join(f"a{number}=1" for number in range(2000)))

    assert (response.status_code, response.json()["status"]) == (400, 400)


@pytest.mark.parametrize("charset", ["utf-16", "idna", "no-such-thing"])
def test_a_list_asked_for_in_an_odd_charset_is_answered(api: Any, charset: str) -> None:
    response = api.client.get("/api/attempts?page_size=5", headers={"Content-Type": f"text/plain; charset={charset}"})

    assert response.status_code == 200


# --- queries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("schedules", 2),
        ("sessions", 3),
        ("attempts", 3),
        ("attempts?include_retried=true", 3),
        ("attempts?project=sales&workflow=w1", 4),
    ],
)
def test_the_number_of_queries_does_not_grow_with_the_rows(
    api: Any,
    make_schedule: Callable[..., Schedule],
    make_attempt: Callable[..., Attempt],
    django_assert_num_queries: Any,
    path: str,
    queries: int,
) -> None:
    api.get("schedules")  # notes the use of the key
    made = 0
    for rows in (3, 60):
        for number in range(made, rows):
            make_attempt(make_schedule(name=f"w{number}"))
        made = rows

        with django_assert_num_queries(queries):
            api.get(path)


def test_an_attempt_with_many_tasks_takes_as_many_queries_as_one_with_few(
    api: Any, history: list[Attempt], now: datetime, django_assert_num_queries: Any
) -> None:
    api.get("schedules")
    made = 0
    for rows in (3, 60):
        TaskRun.objects.bulk_create(
            TaskRun(attempt=history[0], position=position, full_name="+w", updated_at=now)
            for position in range(made, rows)
        )
        made = rows

        with django_assert_num_queries(3):
            assert len(api.get(f"attempts/{history[0].pk}/tasks").json()["tasks"]) == rows
