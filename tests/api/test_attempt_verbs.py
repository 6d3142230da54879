"""Starting, retrying and killing attempts over the wire."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.models import Project, Scope
from scheduler.models import Attempt, AttemptStatus, Schedule

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def runner(make_user: Callable[..., User]) -> User:
    return make_user("rita", "scheduler.run_attempt")


@pytest.fixture
def api(runner: User, make_api: Callable[..., Any]) -> Any:
    return make_api(runner)


def body(schedule: Schedule, **fields: Any) -> dict[str, Any]:
    """A field that is `...` is left out."""
    whole = {"workflowId": str(schedule.definition_id), "sessionTime": "2026-03-02T10:00:00.123456Z", "params": {}}
    return {name: value for name, value in {**whole, **fields}.items() if value is not ...}


# --- kill ---------------------------------------------------------------------------------------------------


def test_a_queued_attempt_is_killed_at_once(api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    attempt = make_attempt(schedule, AT, status=AttemptStatus.QUEUED, released_at=None)

    response = api.post(f"attempts/{attempt.pk}/kill", b"")

    assert response.status_code == 200
    answer = response.json()
    assert (answer["id"], answer["status"], answer["done"]) == (str(attempt.pk), "killed", True)
    assert answer["cancelRequested"] is True
    assert "finishedAt" in answer


def test_a_running_attempt_is_canceling(api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    attempt = make_attempt(schedule, AT, status=AttemptStatus.RUNNING)

    answer = api.post(f"attempts/{attempt.pk}/kill", b"").json()

    assert (answer["status"], answer["done"], answer["cancelRequested"]) == ("canceling", False, True)


@pytest.mark.parametrize("status", ["success", "error", "killed", "canceling"])
def test_what_is_done_or_being_killed_is_not_killed(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], status: str
) -> None:
    attempt = make_attempt(schedule, AT, status=AttemptStatus(status))

    response = api.post(f"attempts/{attempt.pk}/kill", b"")

    assert response.status_code == 409
    assert response.json() == {"message": f"Attempt {attempt.pk} is {status} already.", "status": 409}


# --- start --------------------------------------------------------------------------------------------------


def start(api: Any, fields: Any) -> Any:
    return api.put("attempts", fields)


def test_a_session_is_started_and_answered(api: Any, schedule: Schedule) -> None:
    response = start(api, body(schedule, params={"a": 1}))

    answer = response.json()
    attempt = Attempt.objects.get()
    assert response.status_code == 200
    assert answer == api.get(f"attempts/{attempt.pk}").json()
    assert (answer["sessionTime"], answer["params"], answer["status"]) == (
        *("2026-03-02T10:00:00+00:00", {"a": 1}, "queued"),
    )
    assert "retryAttemptName" not in answer


def test_the_workflow_id_may_be_a_number(api: Any, schedule: Schedule) -> None:
    assert start(api, body(schedule, workflowId=schedule.definition_id, params=...)).status_code == 200


@pytest.mark.parametrize(("status", "name"), [("success", "again"), ("running", "")])
def test_the_attempt_in_the_way_is_the_body_of_the_refusal(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], status: str, name: str
) -> None:
    there = make_attempt(schedule, AT, status=AttemptStatus(status), name=name)

    response = start(api, body(schedule, retryAttemptName="again"))

    assert response.status_code == 409
    assert response.json() == api.get(f"attempts/{there.pk}").json()


def test_a_retry_resumes(api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    failed = make_attempt(schedule, AT, status=AttemptStatus.ERROR)

    for number, resume in enumerate(
        [{"mode": "failed", "attemptId": failed.pk}, {"mode": "from", "attemptId": str(failed.pk), "from": "+x"}]
    ):
        resume = {**resume, **({"from": "+hourly_report+hello"} if "from" in resume else {})}
        answer = start(api, body(schedule, retryAttemptName=f"n{number}", resume=resume))
        attempt = Attempt.objects.get(pk=answer.json()["id"])
        assert (attempt.resumed_from_id, attempt.resume_position) == (failed.pk, number or None)
        Attempt.objects.filter(pk=attempt.pk).update(status="error", finished_at=AT)


def test_a_resume_that_gives_its_mode_twice_as_the_command_of_digdag_does_is_understood(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    failed = make_attempt(schedule, AT, status=AttemptStatus.ERROR)
    text = json.dumps(body(schedule, retryAttemptName="again", resume={"mode": "failed", "attemptId": str(failed.pk)}))

    answer = api.send("PUT", "attempts", text.replace('"resume": {', '"resume": {"mode": "failed", ').encode())

    assert (answer.status_code, answer.json()["status"]) == (200, "queued")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"workflowId": ...}, "workflowId"),
        ({"workflowId": "x"}, "workflowId"),
        ({"workflowId": True}, "workflowId"),
        ({"sessionTime": ...}, "sessionTime"),
        ({"sessionTime": "2026-03-02T10:00:00"}, "sessionTime"),
        ({"sessionTime": "0001-01-01T00:00:00+09:00"}, "sessionTime"),
        ({"params": [1]}, "params"),
        ({"params": {"a": "\0"}}, "params"),
        ({"retryAttemptName": ""}, "retryAttemptName"),
        ({"retryAttemptName": 7}, "retryAttemptName"),
        ({"poolId": "x"}, "poolId"),
        ({"poolId": 0}, "poolId"),
        ({"resume": 7}, "resume"),
        ({"resume": {}}, "resume.mode"),
        ({"resume": {"mode": "all", "attemptId": 1}}, "resume.mode"),
        ({"resume": {"mode": "failed", "attemptId": "x"}}, "resume.attemptId"),
        ({"resume": {"mode": "failed", "attemptId": 1}}, "resume.attemptId"),
        ({"resume": {"mode": "from", "attemptId": 1}}, "resume.from"),
        ({"resume": {"mode": "from", "attemptId": 1, "from": 3}}, "resume.from"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_written(
    api: Any, schedule: Schedule, counts: Callable[[], dict[str, int]], fields: dict[str, Any], wrong: str
) -> None:
    before = counts()

    response = start(api, body(schedule, **fields))

    assert response.status_code == 400
    assert wrong in response.json()["errors"]
    assert counts() == before


@pytest.mark.parametrize(("letters", "status"), [(65_527, 200), (65_528, 400)])
def test_parameters_have_a_size(api: Any, schedule: Schedule, letters: int, status: int) -> None:
    """65,536 bytes, as JSON."""
    body = {"workflowId": schedule.definition_id, "sessionTime": "2026-01-01T00:00:00Z", "params": {"x": "y" * letters}}

    answer = api.put("attempts", body)

    assert answer.status_code == status
    if status == 400:
        assert "longer than 65,536 bytes" in answer.json()["errors"]["params"][0]


def test_all_wrong_fields_are_named_at_once(api: Any, schedule: Schedule) -> None:
    answer = start(api, body(schedule, workflowId="x", sessionTime=1, params=1, retryAttemptName=1)).json()

    assert set(answer["errors"]) == {"workflowId", "sessionTime", "params", "retryAttemptName"}


@pytest.mark.parametrize("workflow", [0, "999999", 10**18])
def test_an_unknown_workflow_is_not_found(api: Any, schedule: Schedule, workflow: Any) -> None:
    assert start(api, body(schedule, workflowId=workflow)).status_code == 404


# --- who may ------------------------------------------------------------------------------------------------


def both(api: Any, schedule: Schedule, attempt: Attempt) -> list[int]:
    return [
        start(api, body(schedule, sessionTime="2026-03-02T11:00:00Z")).status_code,
        api.post(f"attempts/{attempt.pk}/kill", b"").status_code,
    ]


def test_it_needs_the_scope_and_the_permission(
    runner: User,
    operator: User,
    make_api: Callable[..., Any],
    nobody: Any,
    schedule: Schedule,
    make_attempt: Callable[..., Attempt],
) -> None:
    attempt = make_attempt(schedule, AT, status=AttemptStatus.QUEUED)

    assert both(nobody, schedule, attempt) == [401, 401]
    assert both(make_api(operator), schedule, attempt) == [403, 403]
    assert both(make_api(runner, scopes=[Scope.READ]), schedule, attempt) == [403, 403]
    assert Attempt.objects.get().status == "queued"
    assert both(make_api(runner), schedule, attempt) == [200, 200]


def test_a_project_that_is_hidden_or_deleted_is_not_found(
    api: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    attempt = make_attempt(schedule, AT, status=AttemptStatus.QUEUED)
    schedule.workflow.project.groups.create(name="insiders")
    assert both(api, schedule, attempt) == [404, 404]

    schedule.workflow.project.groups.clear()
    Project.objects.update(deleted_at=now)
    assert both(api, schedule, attempt) == [404, 404]
