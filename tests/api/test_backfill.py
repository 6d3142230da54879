"""POST /api/schedules/{id}/backfill: the contract of the seed document, field for field."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.models import Attempt, AttemptStatus, Backfill, Pool, Schedule, Session

KEYS = [
    "cancelRequested",
    "createdAt",
    "done",
    "id",
    "index",
    "params",
    "project",
    "retryAttemptName",
    "sessionId",
    "sessionTime",
    "sessionUuid",
    "status",
    "success",
    "workflow",
]


def test_a_backfill_answers_with_exactly_the_keys_and_forms_of_the_seed(api: Any, schedule: Schedule) -> None:
    response = api.backfill(schedule)

    document = response.json()
    project = {"id": str(schedule.workflow.project_id), "name": "sales"}
    workflow = {"id": str(schedule.definition_id), "name": "hourly_report"}
    first = Attempt.objects.order_by("pk")[0]
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert sorted(document) == ["attempts", "backfillId", "id", "project", "workflow"]
    assert (document["id"], document["project"], document["workflow"]) == (str(schedule.pk), project, workflow)
    assert sorted(document["attempts"][0]) == KEYS
    assert document["attempts"][0] == {
        "id": str(first.pk),
        "index": 1,
        "project": project,
        "workflow": workflow,
        "sessionId": str(first.session_id),
        "sessionUuid": str(first.session.uuid),
        "sessionTime": "2026-03-02T10:00:00+00:00",
        "retryAttemptName": "again",
        "params": {},
        "status": "queued",
        "done": False,
        "success": False,
        "cancelRequested": False,
        "createdAt": "2026-03-02T12:00:00Z",
    }


def test_the_sessions_are_answered_in_order_up_to_the_next_one(api: Any, schedule: Schedule) -> None:
    response = api.backfill(schedule)

    times = [attempt["sessionTime"][11:16] for attempt in response.json()["attempts"]]
    assert times == ["10:00", "11:00", "12:00"]


def test_session_times_carry_the_offset_of_the_zone(api: Any, make_schedule: Callable[..., Schedule]) -> None:
    tokyo = make_schedule("0 0 * * *", timezone="Asia/Tokyo")

    response = api.backfill(tokyo, fromTime="2026-03-01T00:00:00+09:00")

    assert response.json()["attempts"][0]["sessionTime"] == "2026-03-01T00:00:00+09:00"


def test_a_backfill_is_written_for_the_user_who_asked(api: Any, schedule: Schedule, now: datetime) -> None:
    api.backfill(schedule, count=2)

    row = Backfill.objects.get()
    assert (row.name, row.sessions, row.count, row.created_at) == ("again", 2, 2, now)
    assert row.created_by is not None
    assert row.created_by.username == "olga"


def test_a_dry_run_has_the_same_keys_with_ids_of_zero_and_writes_nothing(
    api: Any, schedule: Schedule, counts: Callable[[], dict[str, int]]
) -> None:
    before = counts()

    response = api.backfill(schedule, dryRun=True)

    attempts = response.json()["attempts"]
    assert [sorted(attempt) for attempt in attempts] == [KEYS] * 3
    assert {(attempt["id"], attempt["sessionId"], attempt["index"]) for attempt in attempts} == {("0", "0", 0)}
    assert len({uuid.UUID(attempt["sessionUuid"]) for attempt in attempts}) == 3
    assert counts() == before


def test_a_dry_run_and_the_real_run_name_the_same_sessions(api: Any, schedule: Schedule) -> None:
    dry = api.backfill(schedule, dryRun=True).json()["attempts"]
    real = api.backfill(schedule).json()["attempts"]

    assert [entry["sessionTime"] for entry in dry] == [entry["sessionTime"] for entry in real]


def test_a_dry_run_of_a_session_that_is_there_shows_no_ids_either(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    make_attempt(schedule, now - timedelta(hours=2))

    attempt = api.backfill(schedule, dryRun=True, count=1).json()["attempts"][0]

    assert (attempt["id"], attempt["sessionId"], attempt["index"]) == ("0", "0", 0)


def test_a_session_that_is_there_keeps_its_id_and_gets_the_next_index(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    earlier = make_attempt(schedule, now - timedelta(hours=2), status=AttemptStatus.ERROR)

    attempt = api.backfill(schedule, count=1).json()["attempts"][0]

    assert (attempt["sessionId"], attempt["index"]) == (str(earlier.session_id), 2)


def test_nothing_to_run_is_an_empty_list(api: Any, schedule: Schedule, counts: Callable[[], dict[str, int]]) -> None:
    before = counts()

    response = api.backfill(schedule, fromTime="2026-03-02T13:00:00Z")

    assert (response.status_code, response.json()["attempts"]) == (200, [])
    assert counts() == before


def test_a_count_of_null_is_no_count(api: Any, schedule: Schedule) -> None:
    assert len(api.backfill(schedule, count=None).json()["attempts"]) == 3


def test_unknown_fields_are_ignored(api: Any, schedule: Schedule) -> None:
    assert api.backfill(schedule, colour="red", id=5).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T10:00:00Z",
        "2026-03-02T10:00:00+00:00",
        "2026-03-02T10:00:00.000+00:00",
        "2026-03-02T09:59:59.999999999Z",
        "2026-03-02t10:00:00z",
        "2026-03-02 10:00:00Z",
        "2026-03-02T10:00Z",
        "2026-03-02T19:00:00+0900",
        "2026-03-02T05:00:00-05:00",
    ],
)
def test_a_time_may_be_written_in_these_ways(api: Any, schedule: Schedule, text: str) -> None:
    response = api.backfill(schedule, fromTime=text, dryRun=True)

    assert response.json()["attempts"][0]["sessionTime"] == "2026-03-02T10:00:00+00:00"


def test_a_disabled_schedule_can_be_backfilled(api: Any, make_schedule: Callable[..., Schedule], now: datetime) -> None:
    assert api.backfill(make_schedule(disabled_at=now)).status_code == 200


def test_the_pool_of_an_attempt_is_shown_by_its_id(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    pool = Pool.objects.create(name="db", slots=2)
    attempt = make_attempt(schedule, pool=pool)

    assert api.get(f"attempts/{attempt.pk}").json()["poolId"] == str(pool.pk)


def test_a_backfill_runs_in_the_pool_that_is_asked_for(api: Any, schedule: Schedule) -> None:
    pool = Pool.objects.create(name="db", slots=2)

    for dry in (True, False):
        answer = api.backfill(schedule, poolId=str(pool.pk), dryRun=dry)

        assert {attempt["poolId"] for attempt in answer.json()["attempts"]} == {str(pool.pk)}
    assert set(Attempt.objects.values_list("pool", flat=True)) == {pool.pk}


def test_a_pool_that_is_not_there_is_named(api: Any, schedule: Schedule) -> None:
    answer = api.backfill(schedule, poolId="12")

    assert (answer.status_code, answer.json()["errors"]) == (400, {"poolId": ["There is no pool 12."]})


# --- refusals ------------------------------------------------------------------------------------------

BAD_FIELDS = [
    ("attemptName", ..., "This field is required."),
    ("attemptName", None, "This field may not be null."),
    ("attemptName", 5, "Give text."),
    ("attemptName", True, "Give text."),
    ("attemptName", ["a"], "Give text."),
    ("attemptName", {"a": 1}, "Give text."),
    ("attemptName", "", "Give the attempts a name."),
    ("attemptName", "  ", "Give the attempts a name."),
    ("attemptName", "a" * 256, "The name has 256 characters"),
    ("attemptName", "a\nb", "control character"),
    ("attemptName", "a\0b", "control character"),
    ("attemptName", "a\x7fb", "control character"),
    ("attemptName", "a\ud800b", "control character"),
    ("fromTime", ..., "This field is required."),
    ("fromTime", None, "This field may not be null."),
    ("fromTime", "", "offset from UTC"),
    ("fromTime", "yesterday", "offset from UTC"),
    ("fromTime", "2026-03-02", "offset from UTC"),
    ("fromTime", "2026-03-02T10:00:00", "offset from UTC"),
    ("fromTime", "2026-02-30T10:00:00Z", "offset from UTC"),
    ("fromTime", "2026-03-02T25:00:00Z", "offset from UTC"),
    ("fromTime", "2026-03-02T24:00:00Z", "offset from UTC"),
    ("fromTime", "2026-03-02T10:00:60Z", "offset from UTC"),
    ("fromTime", "2026-03-02T10:00:00+99:00", "offset from UTC"),
    ("fromTime", "２０２６-03-02T10:00:00Z", "offset from UTC"),
    ("fromTime", "10000-01-01T00:00:00Z", "offset from UTC"),
    ("fromTime", "0000-01-01T00:00:00Z", "offset from UTC"),
    ("fromTime", "0001-01-01T00:00:00+05:00", "offset from UTC"),
    ("fromTime", "9999-12-31T23:59:59-05:00", "offset from UTC"),
    ("fromTime", "2026-03-02T10:00:00Z\n", "offset from UTC"),
    ("fromTime", 1_772_445_600, "offset from UTC"),
    ("fromTime", True, "offset from UTC"),
    ("fromTime", ["2026-03-02T10:00:00Z"], "offset from UTC"),
    ("dryRun", ..., "This field is required."),
    ("dryRun", None, "This field may not be null."),
    ("dryRun", 0, "Give true or false."),
    ("dryRun", 1, "Give true or false."),
    ("dryRun", "true", "Give true or false."),
    ("dryRun", [], "Give true or false."),
    ("count", 0, "The count is 0; 1 is the least."),
    ("count", -1, "The count is -1"),
    ("count", 1.5, "Give a whole number."),
    ("count", 1.0, "Give a whole number."),
    ("count", "2", "Give a whole number."),
    ("count", True, "Give a whole number."),
    ("count", [1], "Give a whole number."),
    ("count", 10_001, "one backfill runs 10000 sessions at the most"),
    ("count", 2**63, "one backfill runs 10000 sessions at the most"),
    ("count", 10**400, "one backfill runs 10000 sessions at the most"),
    ("count", 4, "The count is 4, but there are only 3 sessions"),
]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(("field", "value", "text"), BAD_FIELDS)
def test_a_wrong_field_is_named_and_nothing_is_written(
    api: Any,
    schedule: Schedule,
    counts: Callable[[], dict[str, int]],
    field: str,
    value: Any,
    text: str,
    dry_run: bool,
) -> None:
    before = counts()

    response = api.backfill(schedule, **{"dryRun": dry_run, field: value})

    document = response.json()
    assert (response.status_code, document["status"]) == (400, 400)
    assert list(document["errors"]) == [field]
    assert text in document["errors"][field][0]
    assert document["message"].startswith(f"{field}: ")
    assert sorted(document) == ["errors", "message", "status"]
    assert counts() == before


def test_all_wrong_fields_are_named_at_once(api: Any, schedule: Schedule) -> None:
    response = api.backfill(schedule, attemptName=" ", fromTime="soon", dryRun="no", count=0)

    assert list(response.json()["errors"]) == ["attemptName", "fromTime", "dryRun", "count"]


def test_more_sessions_than_the_limit_is_a_400_that_names_the_limit(
    api: Any, schedule: Schedule, settings: Any, counts: Callable[[], dict[str, int]]
) -> None:
    settings.HINDCAST_MAX_BACKFILL_SESSIONS = 2
    before = counts()

    response = api.backfill(schedule)

    assert response.status_code == 400
    assert "more than 2 sessions" in response.json()["errors"]["fromTime"][0]
    assert counts() == before


DEEP = "[" * 100_000
BAD_BODIES = {
    "empty": (b"", "attemptName: This field is required."),
    "broken": (b'{"attemptName": ', "The body is not JSON"),
    "two values": (b"{} {}", "The body is not JSON"),
    "a list": (b"[]", "The body is not a JSON object."),
    "text": (b'"x"', "The body is not a JSON object."),
    "null": (b"null", "The body is not a JSON object."),
    "a number": (b"7", "The body is not a JSON object."),
    "NaN": (b'{"count": NaN}', "NaN is no value"),
    "infinity": (b'{"count": -Infinity}', "-Infinity is no value"),
    "too deep": (b'{"x": ' + DEEP.encode(), "nested too deep"),
    "a key twice": (b'{"count": 1, "count": 2}', "a key twice"),
    "a key twice, deeper": (b'{"x": [{"a": 1, "a": 2}]}', "a key twice"),
    "a huge number": (b'{"count": ' + b"9" * 5000 + b"}", "too long"),
    "not UTF-8": (b'{"attemptName": "\xff"}', "not UTF-8"),
    "UTF-16": ('{"count": 1}'.encode("utf-16"), "not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "The body is not JSON"),
    "a form": (b"attemptName=again&dryRun=true", "The body is not JSON"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_is_no_json_object_is_a_400(
    api: Any, schedule: Schedule, counts: Callable[[], dict[str, int]], name: str
) -> None:
    body, text = BAD_BODIES[name]
    before = counts()

    response = api.post(f"schedules/{schedule.pk}/backfill", body)

    document = response.json()
    assert (response.status_code, document["status"]) == (400, 400)
    assert text in document["message"]
    assert counts() == before


def test_1e999_is_no_count(api: Any, schedule: Schedule) -> None:
    body = b'{"attemptName": "a", "fromTime": "2026-03-02T10:00:00Z", "dryRun": true, "count": 1e999}'

    response = api.post(f"schedules/{schedule.pk}/backfill", body)

    assert (response.status_code, list(response.json()["errors"])) == (400, ["count"])


def test_a_body_of_more_than_a_megabyte_is_a_413(
    api: Any, schedule: Schedule, counts: Callable[[], dict[str, int]]
) -> None:
    before = counts()

    response = api.backfill(schedule, note="x" * 1_048_576)

    assert (response.status_code, response.json()["status"]) == (413, 413)
    assert counts() == before


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "x"])
def test_another_type_of_content_is_a_415(
    api: Any, schedule: Schedule, content_type: str, counts: Callable[[], dict[str, int]]
) -> None:
    before = counts()

    response = api.post(f"schedules/{schedule.pk}/backfill", b"{}", content_type=content_type)

    assert (response.status_code, response.json()["status"]) == (415, 415)
    assert counts() == before


@pytest.mark.parametrize("charset", ["utf-16", "bz2_codec", "idna", "no-such-thing"])
def test_the_charset_that_a_request_names_changes_nothing(api: Any, schedule: Schedule, charset: str) -> None:
    body = {"attemptName": "a", "fromTime": "2026-03-02T10:00:00Z", "dryRun": True}

    response = api.post(f"schedules/{schedule.pk}/backfill", body, content_type=f"application/json; charset={charset}")

    assert response.status_code == 200


@pytest.mark.parametrize("dry_run", [True, False])
def test_every_conflict_is_listed_in_the_order_of_the_sessions(
    api: Any,
    schedule: Schedule,
    make_attempt: Callable[..., Attempt],
    now: datetime,
    counts: Callable[[], dict[str, int]],
    dry_run: bool,
) -> None:
    running = make_attempt(schedule, now, status=AttemptStatus.RUNNING)
    named = make_attempt(schedule, now - timedelta(hours=2), name="again")
    before = counts()

    response = api.backfill(schedule, dryRun=dry_run)

    document = response.json()
    assert (response.status_code, document["status"]) == (409, 409)
    assert "2 of 3 sessions" in document["message"]
    assert document["conflicts"] == [
        {
            "sessionTime": "2026-03-02T10:00:00+00:00",
            "attemptId": str(named.pk),
            "retryAttemptName": "again",
            "attemptStatus": "success",
            "reason": f"attempt {named.pk} already has this name",
        },
        {
            "sessionTime": "2026-03-02T12:00:00+00:00",
            "attemptId": str(running.pk),
            "retryAttemptName": None,
            "attemptStatus": "running",
            "reason": f"attempt {running.pk} is running",
        },
    ]
    assert counts() == before


def test_the_same_backfill_twice_is_a_conflict(api: Any, schedule: Schedule) -> None:
    api.backfill(schedule)

    response = api.backfill(schedule)

    assert (response.status_code, len(response.json()["conflicts"])) == (409, 3)


def test_a_dry_run_of_ten_thousand_sessions_comes_in_one_piece(
    api: Any, make_schedule: Callable[..., Schedule]
) -> None:
    frequent = make_schedule("* * * * *", timezone="America/New_York")

    response = api.backfill(frequent, dryRun=True, fromTime="2026-02-20T00:00:00Z", count=10_000)

    attempts = response.json()["attempts"]
    assert len(attempts) == len({attempt["sessionTime"] for attempt in attempts}) == 10_000


def test_the_number_of_statements_does_not_grow_with_the_sessions(
    api: Any, make_schedule: Callable[..., Schedule], django_assert_num_queries: Any
) -> None:
    frequent = make_schedule("* * * * *")
    api.get("schedules")  # notes the use of the key

    for count in (3, 300):
        with django_assert_num_queries(10):
            api.backfill(frequent, dryRun=True, fromTime="2026-03-01T00:00:00Z", count=count)


def test_a_backfill_leaves_the_schedule_as_it_was(api: Any, schedule: Schedule) -> None:
    before = Schedule.objects.values().get()

    api.backfill(schedule)

    assert Schedule.objects.values().get() == before
    assert Session.objects.count() == 3
