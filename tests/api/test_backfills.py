"""Backfills over the wire: look at them, kill one, run again what failed of it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User

from projects.models import Project, Scope
from scheduler.models import Attempt, AttemptStatus, Backfill, Pool, Schedule

HOUR = timedelta(hours=1)
RETRY = {"attemptName": "mend", "dryRun": False}


@pytest.fixture
def operator(operator: User) -> User:
    """May kill, too."""
    operator.user_permissions.add(Permission.objects.get(codename="run_attempt"))
    return User.objects.get(pk=operator.pk)


@pytest.fixture
def make_backfill(now: datetime, operator: User, make_attempt: Callable[..., Attempt]) -> Callable[..., Backfill]:
    """make_backfill(schedule, "success", "error") has two attempts of these states, three and two hours ago."""

    def make(schedule: Schedule, *statuses: str, name: str = "again", **fields: Any) -> Backfill:
        first = now - (len(statuses) + 1) * HOUR
        values = {"from_time": first, "sessions": len(statuses), "created_at": now, "created_by": operator, **fields}
        row = Backfill.objects.create(workflow=schedule.workflow, schedule=schedule, name=name, **values)
        for place, status in enumerate(statuses):
            make_attempt(schedule, first + place * HOUR, status=AttemptStatus(status), name=name, backfill=row)
        return row

    return make


@pytest.fixture
def failed(schedule: Schedule, make_backfill: Callable[..., Backfill]) -> Backfill:
    return make_backfill(schedule, "success", "error", "killed")


def ids(response: Any) -> list[int]:
    return [int(entry["id"]) for entry in response.json()["backfills"]]


def statuses() -> list[str]:
    return list(Attempt.objects.order_by("pk").values_list("status", flat=True))


# --- looking ------------------------------------------------------------------------------------------------


def test_a_backfill_shows_what_was_asked_and_how_far_it_is(api: Any, schedule: Schedule) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    answer = api.backfill(schedule, fromTime="2026-03-02T09:30:00Z", count=2, poolId=str(pool.pk)).json()

    document = api.get(f"backfills/{answer['backfillId']}").json()

    assert document == {
        "id": str(Backfill.objects.get().pk),
        "name": "again",
        "project": {"id": str(schedule.workflow.project_id), "name": "sales"},
        "workflow": {"id": str(schedule.definition_id), "name": "hourly_report"},
        "scheduleId": str(schedule.pk),
        "fromTime": "2026-03-02T09:30:00Z",
        "toTime": None,
        "count": 2,
        "only": "all",
        "sessions": 2,
        "concurrency": 1,
        "poolId": str(pool.pk),
        "createdAt": "2026-03-02T12:00:00Z",
        "createdBy": "olga",
        "attempts": {"queued": 2, "running": 0, "canceling": 0, "success": 0, "error": 0, "killed": 0},
        "done": False,
    }
    assert api.get("backfills").json() == {"backfills": [document]}


def test_the_id_of_the_backfill_is_answered_when_there_is_one(api: Any, schedule: Schedule) -> None:
    dry = api.backfill(schedule, dryRun=True).json()
    nothing = api.backfill(schedule, fromTime="2026-03-05T00:00:00Z").json()
    real = api.backfill(schedule).json()

    assert (dry["backfillId"], nothing["backfillId"]) == (None, None)
    assert real["backfillId"] == str(Backfill.objects.get().pk)


def test_what_is_not_known_is_null(
    api: Any, schedule: Schedule, make_backfill: Callable[..., Backfill], now: datetime
) -> None:
    row = make_backfill(schedule, "success", created_by=None)
    schedule.delete()

    document = api.get(f"backfills/{row.pk}").json()

    assert {name for name, value in document.items() if value is None} == {
        *("scheduleId", "toTime", "count", "poolId", "createdBy"),
    }


def test_its_own_attempts_are_counted_by_state(
    api: Any, schedule: Schedule, make_backfill: Callable[..., Backfill], make_attempt: Callable[..., Attempt]
) -> None:
    states = ["success", "success", "error", "killed", "canceling", "running", "queued", "queued", "queued"]
    row = make_backfill(schedule, *states)
    retried = Attempt.objects.get(status="error")
    make_attempt(schedule, retried.session.session_time, name="by hand")

    counts = api.get(f"backfills/{row.pk}").json()["attempts"]

    assert counts == {"queued": 3, "running": 1, "canceling": 1, "success": 2, "error": 1, "killed": 1}


def test_an_attempt_that_waits_to_go_on_counts_as_running_as_it_is_shown_itself(
    api: Any, schedule: Schedule, make_backfill: Callable[..., Backfill], now: datetime
) -> None:
    row = make_backfill(schedule, "running", "queued", "queued")
    waiting = Attempt.objects.filter(status="queued").latest("pk")
    Attempt.objects.filter(pk=waiting.pk).update(started_at=now)

    counts = api.get(f"backfills/{row.pk}").json()["attempts"]
    shown = [entry["status"] for entry in api.get("attempts").json()["attempts"]]

    assert (counts["queued"], counts["running"]) == (shown.count("queued"), shown.count("running")) == (1, 2)


@pytest.mark.parametrize(
    ("status", "done"),
    [("queued", False), ("running", False), ("canceling", False), ("success", True), ("error", True), ("killed", True)],
)
def test_it_is_done_when_none_of_its_attempts_is_live(
    api: Any, schedule: Schedule, make_backfill: Callable[..., Backfill], status: str, done: bool
) -> None:
    row = make_backfill(schedule, "success", status)

    assert api.get(f"backfills/{row.pk}").json()["done"] is done


def test_the_workflow_is_the_definition_that_its_attempts_run(
    api: Any, schedule: Schedule, failed: Backfill, make_definition: Callable[..., Any]
) -> None:
    ran = schedule.definition_id
    Schedule.objects.update(definition=make_definition())

    assert api.get(f"backfills/{failed.pk}").json()["workflow"]["id"] == str(ran)


def test_backfills_are_listed_by_falling_id_and_paged(
    api: Any, schedule: Schedule, make_backfill: Callable[..., Backfill]
) -> None:
    pks = [make_backfill(schedule, name=f"n{number}").pk for number in range(5)][::-1]

    assert ids(api.get("backfills")) == pks
    assert ids(api.get("backfills", page_size=2)) == pks[:2]
    assert ids(api.get("backfills", page_size=2, last_id=pks[1])) == pks[2:4]
    assert ids(api.get("backfills", last_id=pks[-1])) == []


def test_backfills_of_one_project_or_one_schedule(
    api: Any, make_schedule: Callable[..., Schedule], make_backfill: Callable[..., Backfill]
) -> None:
    first, second, other = (make_schedule(name=name, project=project) for project, name in ("pa", "pb", "qa"))
    a, b, c = (make_backfill(schedule).pk for schedule in (first, second, other))
    p, q = first.workflow.project_id, other.workflow.project_id

    assert ids(api.get("backfills", project_id=p)) == [b, a]
    assert ids(api.get("backfills", project_id=q)) == [c]
    assert ids(api.get("backfills", schedule_id=second.pk)) == [b]
    assert ids(api.get("backfills", project_id=p, schedule_id=first.pk)) == [a]
    assert ids(api.get("backfills", project_id=q, schedule_id=first.pk)) == []


@pytest.mark.parametrize("name", ["project_id", "schedule_id"])
def test_a_filter_that_means_nothing_is_told(api: Any, failed: Backfill, name: str) -> None:
    unknown = api.get("backfills", **{name: 999_999})
    wrong = api.get("backfills", **{name: "x"})

    assert (unknown.status_code, unknown.json()["message"]) == (404, f"There is no {name.removesuffix('_id')} 999999.")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, [name])


@pytest.mark.parametrize(("filtered", "queries"), [(False, 4), (True, 5)])
def test_the_number_of_queries_does_not_grow_with_the_backfills_and_their_attempts(
    api: Any,
    schedule: Schedule,
    make_backfill: Callable[..., Backfill],
    django_assert_num_queries: Any,
    filtered: bool,
    queries: int,
) -> None:
    api.get("schedules")  # notes the use of the key
    query = {"schedule_id": schedule.pk, "project_id": schedule.workflow.project_id} if filtered else {}
    made = 0
    for rows in (1, 100):
        for number in range(made, rows):
            make_backfill(schedule, "success", "error", name=f"n{number}")
        made = rows

        with django_assert_num_queries(queries):
            assert len(ids(api.get("backfills", **query))) == rows


# --- who sees what --------------------------------------------------------------------------------------------


def answers(api: Any, pk: int) -> list[int]:
    """To look, to kill, to look what would run again, and to run it again."""
    return [
        api.get(f"backfills/{pk}").status_code,
        api.post(f"backfills/{pk}/kill", b"").status_code,
        api.post(f"backfills/{pk}/retry", {**RETRY, "dryRun": True}).status_code,
        api.post(f"backfills/{pk}/retry", RETRY).status_code,
    ]


def test_one_that_is_not_there_is_a_404(api: Any) -> None:
    assert answers(api, 999_999) == [404] * 4
    assert api.get("backfills/999999").json() == {"message": "There is no backfill 999999.", "status": 404}


def test_what_a_user_may_not_see_is_not_there(api: Any, failed: Backfill, counts: Callable[[], dict[str, int]]) -> None:
    failed.workflow.project.groups.add(Group.objects.create(name="board"))
    before = counts()

    assert answers(api, failed.pk) == [404] * 4
    assert ids(api.get("backfills")) == []
    assert api.get("backfills", schedule_id=failed.schedule_id).status_code == 404
    assert api.get("backfills", project_id=failed.workflow.project_id).status_code == 404
    assert counts() == before


def test_a_key_for_one_project_sees_and_touches_no_other(
    make_api: Any, operator: User, make_schedule: Callable[..., Schedule], make_backfill: Callable[..., Backfill]
) -> None:
    mine, other = (make_backfill(make_schedule(project=name), "queued", "error") for name in ("mine", "other"))
    api = make_api(operator, project=Project.objects.get(name="mine"))

    assert ids(api.get("backfills")) == [mine.pk]
    assert answers(api, other.pk) == [404] * 4
    assert answers(api, mine.pk) == [200] * 4


def test_the_backfills_of_a_deleted_project_are_read_by_id_and_listed_no_more(
    api: Any, failed: Backfill, now: datetime
) -> None:
    Project.objects.update(deleted_at=now)

    assert answers(api, failed.pk) == [200, 404, 404, 404]
    assert ids(api.get("backfills")) == []


def test_it_needs_the_scope_and_the_permission(
    make_api: Any, make_user: Any, nobody: Any, operator: User, schedule: Schedule, make_backfill: Any
) -> None:
    row = make_backfill(schedule, "error", "queued")
    runner = make_user("rita", "scheduler.run_attempt")
    backfiller = make_user("bob", "scheduler.backfill_schedule")

    assert answers(nobody, row.pk) == [401] * 4
    assert answers(make_api(operator, scopes=[Scope.READ]), row.pk) == [200, 403, 403, 403]
    assert answers(make_api(make_user("ann")), row.pk) == [200, 403, 403, 403]
    assert statuses() == ["error", "queued"]
    assert answers(make_api(operator, scopes=[Scope.OPERATE]), row.pk) == [403, 200, 200, 200]
    assert answers(make_api(runner), row.pk) == [200, 200, 403, 403]
    assert answers(make_api(backfiller), row.pk)[:2] == [200, 403]


# --- kill ---------------------------------------------------------------------------------------------------


def test_what_is_not_done_is_killed_and_the_backfill_answered(
    api: Any, schedule: Schedule, make_backfill: Callable[..., Backfill]
) -> None:
    row = make_backfill(schedule, "success", "running", "queued", "queued")

    response = api.post(f"backfills/{row.pk}/kill", b"")

    assert response.status_code == 200
    assert statuses() == ["success", "canceling", "killed", "killed"]
    assert response.json() == api.get(f"backfills/{row.pk}").json()
    assert response.json()["attempts"] == {
        "queued": 0,
        "running": 0,
        "canceling": 1,
        "success": 1,
        "error": 0,
        "killed": 2,
    }
    assert response.json()["done"] is False


def test_to_kill_what_is_done_changes_nothing_and_is_no_error(api: Any, failed: Backfill) -> None:
    response = api.post(f"backfills/{failed.pk}/kill")

    assert (response.status_code, response.json()["done"]) == (200, True)
    assert statuses() == ["success", "error", "killed"]


# --- run again what failed ----------------------------------------------------------------------------------


def test_what_failed_or_was_killed_runs_again_and_is_answered_as_a_backfill_is(
    api: Any, schedule: Schedule, failed: Backfill
) -> None:
    response = api.post(f"backfills/{failed.pk}/retry", RETRY)

    document, made = response.json(), Backfill.objects.latest("pk")
    assert response.status_code == 200
    assert (document["id"], document["backfillId"]) == (str(schedule.pk), str(made.pk))
    assert [entry["sessionTime"][11:16] for entry in document["attempts"]] == ["09:00", "10:00"]
    assert {entry["retryAttemptName"] for entry in document["attempts"]} == {"mend"}
    assert sorted(document) == sorted(api.backfill(schedule, fromTime="2026-03-02T12:00:00Z").json())
    assert (made.name, made.sessions, made.created_by) == ("mend", 2, failed.created_by)


def test_a_dry_run_of_it_names_the_same_sessions_and_writes_nothing(
    api: Any, failed: Backfill, counts: Callable[[], dict[str, int]]
) -> None:
    before = counts()

    dry = api.post(f"backfills/{failed.pk}/retry", {**RETRY, "dryRun": True}).json()

    assert counts() == before
    assert (dry["backfillId"], {entry["id"] for entry in dry["attempts"]}) == (None, {"0"})
    real = api.post(f"backfills/{failed.pk}/retry", RETRY).json()
    assert [entry["sessionTime"] for entry in dry["attempts"]] == [entry["sessionTime"] for entry in real["attempts"]]


def test_nothing_that_failed_is_an_empty_list(
    api: Any, schedule: Schedule, make_backfill: Callable[..., Backfill]
) -> None:
    row = make_backfill(schedule, "success", "running")

    document = api.post(f"backfills/{row.pk}/retry", RETRY).json()

    assert (document["attempts"], document["backfillId"]) == ([], None)
    assert Backfill.objects.count() == 1


@pytest.mark.parametrize("dry_run", [True, False])
def test_every_session_that_has_an_attempt_of_that_name_is_a_conflict(
    api: Any, failed: Backfill, counts: Callable[[], dict[str, int]], dry_run: bool
) -> None:
    before = counts()

    response = api.post(f"backfills/{failed.pk}/retry", {"attemptName": "again", "dryRun": dry_run})

    found = response.json()
    assert (response.status_code, found["status"]) == (409, 409)
    assert [entry["attemptStatus"] for entry in found["conflicts"]] == ["error", "killed"]
    assert found["conflicts"][0]["reason"].endswith("already has this name")
    assert counts() == before


def test_a_backfill_whose_schedule_is_gone_is_not_run_again(api: Any, failed: Backfill) -> None:
    Schedule.objects.all().delete()

    response = api.post(f"backfills/{failed.pk}/retry", RETRY)

    text = "The schedule of the backfill “again” is not there any more."
    assert (response.status_code, response.json()) == (409, {"message": text, "status": 409})


@pytest.mark.parametrize(
    ("field", "value"),
    [("attemptName", None), ("attemptName", " "), ("attemptName", "a/b"), ("attemptName", 1), ("dryRun", "yes")],
)
def test_a_wrong_field_is_named_and_nothing_is_written(
    api: Any, failed: Backfill, counts: Callable[[], dict[str, int]], field: str, value: Any
) -> None:
    before = counts()

    response = api.post(f"backfills/{failed.pk}/retry", {**RETRY, field: value})

    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert counts() == before


@pytest.mark.parametrize("field", ["attemptName", "dryRun"])
def test_a_field_that_is_left_out_is_named(api: Any, failed: Backfill, field: str) -> None:
    body = {name: value for name, value in RETRY.items() if name != field}

    assert list(api.post(f"backfills/{failed.pk}/retry", body).json()["errors"]) == [field]
