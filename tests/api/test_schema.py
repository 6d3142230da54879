"""The OpenAPI document says what the answers are, and its page works without another host."""

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import jsonschema
import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client

from projects import secrets
from scheduler.api.docs import document
from scheduler.models import Attempt, AttemptStatus, Backfill, LogChunk, Pool, Schedule, TaskRun

OPERATIONS = {
    ("/api/schedules/{id}/backfill", "post"): "backfillSchedule",
    ("/api/schedules", "get"): "getSchedules",
    ("/api/schedules/{id}", "get"): "getSchedule",
    ("/api/schedules/{id}/skip", "post"): "skipSchedule",
    ("/api/schedules/{id}/disable", "post"): "disableSchedule",
    ("/api/schedules/{id}/enable", "post"): "enableSchedule",
    ("/api/sessions", "get"): "getSessions",
    ("/api/sessions/{id}", "get"): "getSession",
    ("/api/sessions/{id}/attempts", "get"): "getSessionAttempts",
    ("/api/attempts", "get"): "getAttempts",
    ("/api/attempts", "put"): "startAttempt",
    ("/api/attempts/{id}", "get"): "getAttempt",
    ("/api/attempts/{id}/kill", "post"): "killAttempt",
    ("/api/attempts/{id}/retries", "get"): "getAttemptRetries",
    ("/api/attempts/{id}/tasks", "get"): "getAttemptTasks",
    ("/api/backfills", "get"): "getBackfills",
    ("/api/backfills/{id}", "get"): "getBackfill",
    ("/api/backfills/{id}/kill", "post"): "killBackfill",
    ("/api/backfills/{id}/retry", "post"): "retryBackfill",
    ("/api/logs/{id}/files", "get"): "getLogFiles",
    ("/api/projects", "get"): "getProjects",
    ("/api/projects/{id}", "get"): "getProject",
    ("/api/projects/{id}/revisions", "get"): "getProjectRevisions",
    ("/api/projects/{id}/workflows", "get"): "getProjectWorkflows",
    ("/api/projects/{id}/schedules", "get"): "getProjectSchedules",
    ("/api/projects/{id}/sessions", "get"): "getProjectSessions",
    ("/api/projects/{id}/secrets", "get"): "getProjectSecrets",
    ("/api/workflows", "get"): "getWorkflows",
    ("/api/workflows/{id}", "get"): "getWorkflow",
    ("/api/projects", "put"): "putProject",
    ("/api/projects/{id}", "delete"): "deleteProject",
    ("/api/projects/{id}/secrets/{key}", "put"): "putProjectSecret",
    ("/api/projects/{id}/secrets/{key}", "delete"): "deleteProjectSecret",
}
# They answer with a file, need more than an id, or no key.
OTHERS = {
    ("/api/logs/{id}/files/{name}", "get"): "getLogFile",
    ("/api/projects/{id}/archive", "get"): "getProjectArchive",
    ("/api/workflow", "get"): "getWorkflowByName",
    ("/api/workflows/{id}/truncated_session_time", "get"): "getTruncatedSessionTime",
    ("/api/version", "get"): "getVersion",
    ("/api/version/check", "get"): "checkClientVersion",
    ("/api/project", "get"): "getProjectByName",
    ("/api/projects/{id}/workflow", "get"): "getProjectWorkflow",
    ("/api/projects/{id}/workflows/{name}", "get"): "getProjectWorkflowByName",
}


@pytest.fixture
def schema() -> dict[str, Any]:
    return Client().get("/api/schema").json()


def test_the_schema_is_built_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_the_schema_is_open_to_everybody_and_names_every_operation(schema: dict[str, Any]) -> None:
    found = {
        (path, method): entry["operationId"]
        for path, operations in schema["paths"].items()
        for method, entry in operations.items()
    }

    assert found == OPERATIONS | OTHERS


def test_the_schema_does_not_depend_on_a_wrong_key() -> None:
    assert Client(headers={"Authorization": "TD1 wrong"}).get("/api/schema").status_code == 200


def test_every_operation_asks_for_the_key(schema: dict[str, Any]) -> None:
    scheme = schema["components"]["securitySchemes"]["ApiKeyAuth"]

    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    for path, method in OPERATIONS:
        assert {"ApiKeyAuth": []} in schema["paths"][path][method]["security"]


def test_the_states_are_named_exactly(schema: dict[str, Any]) -> None:
    states = ["queued", "running", "canceling", "success", "error", "killed"]

    assert schema["components"]["schemas"]["AttemptStatus"]["enum"] == states


def test_the_backfill_documents_each_of_its_refusals(schema: dict[str, Any]) -> None:
    operation = schema["paths"]["/api/schedules/{id}/backfill"]["post"]
    refusals = {
        code: answer["content"]["application/json"] for code, answer in operation["responses"].items() if code != "200"
    }

    assert sorted(refusals) == ["400", "401", "403", "404", "409", "413", "415", "429", "503"]
    for code, content in refusals.items():
        example = next(iter(content["examples"].values()))["value"]
        assert example["status"] == int(code)
        check(content["schema"], example, schema)


def test_the_examples_are_what_they_show(schema: dict[str, Any]) -> None:
    operation = schema["paths"]["/api/schedules/{id}/backfill"]["post"]
    answer = operation["responses"]["200"]["content"]["application/json"]
    request = operation["requestBody"]["content"]["application/json"]

    for content in (answer, request):
        assert content["examples"]
        for example in content["examples"].values():
            check(content["schema"], example["value"], schema)


# --- shapes and entries agree -------------------------------------------------------------------------------


@pytest.fixture
def everything(schedule: Schedule, make_attempt: Callable[..., Attempt], now: Any) -> Attempt:
    """An attempt with a value in every optional field, one with none, and tasks."""
    pool = Pool.objects.create(name="db", slots=1)
    make_attempt(schedule, now - timedelta(hours=2))
    full = make_attempt(schedule, now - timedelta(hours=2), name="again", pool=pool, params={"a": 1})
    make_attempt(schedule, now - timedelta(hours=1), status=AttemptStatus.RUNNING)
    TaskRun.objects.create(attempt=full, position=0, full_name="+w", updated_at=now)
    TaskRun.objects.create(attempt=full, position=1, parent=0, full_name="+w+a", updated_at=now, started_at=now)
    return full


def test_answers_have_the_keys_and_types_of_the_document(
    api: Any, operator: User, schema: dict[str, Any], everything: Attempt, schedule: Schedule, now: Any
) -> None:
    operator.user_permissions.add(Permission.objects.get(codename="change_secret"))
    project = schedule.workflow.project
    secrets.put(project_id=project.pk, key="token", value="t", now=now)
    LogChunk.objects.create(attempt=everything, position=1, text="hello", written_at=now)
    ids = {
        "schedules": schedule.pk,
        "sessions": everything.session_id,
        "attempts": everything.pk,
        "backfills": Backfill.objects.create(
            workflow=schedule.workflow, name="again", from_time=now, sessions=1, created_at=now
        ).pk,
        "logs": everything.pk,
        "projects": project.pk,
        "workflows": schedule.definition_id,
    }

    for path, method in OPERATIONS:
        if method == "get":
            kind = path.split("/")[2]
            answer = api.get(path.removeprefix("/api/").format(id=ids[kind])).json()
            check(answer_schema(schema, path, method), answer, schema)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_backfill_has_the_keys_and_types_of_the_document(
    api: Any, schema: dict[str, Any], schedule: Schedule, dry_run: bool
) -> None:
    answer = api.backfill(schedule, dryRun=dry_run).json()

    check(answer_schema(schema, "/api/schedules/{id}/backfill", "post"), answer, schema)


def test_a_conflict_has_the_keys_and_types_of_the_document(
    api: Any, schema: dict[str, Any], schedule: Schedule, everything: Attempt
) -> None:
    answer = api.backfill(schedule)

    assert answer.status_code == 409
    check(answer_schema(schema, "/api/schedules/{id}/backfill", "post", "409"), answer.json(), schema)


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_done_with_a_backfill_has_the_keys_and_types_of_the_document(
    api: Any, operator: User, schema: dict[str, Any], schedule: Schedule, dry_run: bool
) -> None:
    operator.user_permissions.add(Permission.objects.get(codename="run_attempt"))
    made = api.backfill(schedule).json()["backfillId"]

    killed = api.post(f"backfills/{made}/kill").json()
    conflict = api.post(f"backfills/{made}/retry", {"attemptName": "again", "dryRun": dry_run}).json()
    again = api.post(f"backfills/{made}/retry", {"attemptName": "mend", "dryRun": dry_run}).json()
    schedule.delete()
    gone = api.post(f"backfills/{made}/retry", {"attemptName": "mend", "dryRun": dry_run}).json()

    assert (len(again["attempts"]), len(conflict["conflicts"]), gone["status"]) == (3, 3, 409)
    check(answer_schema(schema, "/api/backfills/{id}/kill", "post"), killed, schema)
    check(answer_schema(schema, "/api/backfills/{id}/retry", "post"), again, schema)
    for refused in (conflict, gone):
        check(answer_schema(schema, "/api/backfills/{id}/retry", "post", "409"), refused, schema)


def test_an_optional_key_is_documented_as_one(schema: dict[str, Any]) -> None:
    attempt = schema["components"]["schemas"]["Attempt"]

    optional = set(attempt["properties"]) - set(attempt["required"])
    assert optional == {"retryAttemptName", "finishedAt", "poolId"}


def answer_schema(schema: dict[str, Any], path: str, method: str, code: str = "200") -> Any:
    return schema["paths"][path][method]["responses"][code]["content"]["application/json"]["schema"]


def check(part: Any, value: Any, schema: dict[str, Any]) -> None:
    """`value` has the form of `part`, and not one key more."""
    jsonschema.Draft4Validator(closed(part, schema), format_checker=jsonschema.FormatChecker()).validate(value)


def closed(part: Any, schema: dict[str, Any]) -> Any:
    """OpenAPI 3.0 as JSON schema: references put in, null allowed where nullable, no other keys in objects."""
    if isinstance(part, list):
        return [closed(item, schema) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return closed(schema["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]], schema)
    result = {key: closed(item, schema) for key, item in part.items()}
    if "properties" in result and isinstance(part["properties"], dict):
        result.setdefault("additionalProperties", False)
    return {"anyOf": [result, {"type": "null"}]} if part.get("nullable") else result


# --- the page -------------------------------------------------------------------------------------------------


def test_the_page_loads_files_of_this_site_alone() -> None:
    response = Client().get("/api/docs")

    text = response.content.decode()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert response.status_code == 200
    assert len(sources) >= 4
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    assert "<script>" not in text


def test_the_page_runs_under_the_policy_of_all_pages_but_for_styles() -> None:
    policy = Client().get("/api/docs")["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src" not in policy
    assert "unsafe-inline" not in Client().get("/api/schema")["Content-Security-Policy"]


def test_the_script_of_the_page_names_the_schema() -> None:
    response = Client().get("/api/docs", {"script": ""})

    assert response["Content-Type"].startswith("application/javascript")
    assert '"/api/schema"' in response.content.decode().replace("\\u002D", "-")


def test_the_document_is_built_once() -> None:
    assert document() is document()


def test_every_parameter_of_a_push_is_described(schema: dict[str, Any]) -> None:
    described = {one["name"]: one["schema"]["type"] for one in schema["paths"]["/api/projects"]["put"]["parameters"]}

    assert described == {
        "project": "string",
        "revision": "string",
        "schedule_from": "string",
        "clear_schedule": "array",
        "clear_schedule_all": "boolean",
    }
