"""What clients of Digdag rely on beside what `tdworkflow` asks for: the command `digdag`, and scripts of people."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.storage import storages

from projects.models import Project, Revision, WorkflowDefinition
from scheduler.models import Attempt, LogChunk, Schedule, TaskRun, TaskState
from tests.api.attacks.world import tgz

DAILY = {"schedule": {"daily>": "07:00:00"}, "+a": {"echo>": "x"}}


@pytest.fixture
def author(operator: User) -> User:
    for name in ("add_revision", "delete_project", "change_secret", "run_attempt", "change_schedule"):
        operator.user_permissions.add(Permission.objects.get(codename=name))
    return User.objects.get(pk=operator.pk)


@pytest.fixture
def client(author: User, make_api: Callable[..., Any]) -> Any:
    return make_api(author)


@pytest.fixture
def shop(make_definition: Callable[..., WorkflowDefinition]) -> Project:
    """Two workflows in the newest revision, r2, one of them in r1 only; in Tokyo."""
    old = make_definition("gone", project="shop")
    newest = make_definition("daily", DAILY, project="shop", timezone="Asia/Tokyo")
    WorkflowDefinition.objects.create(
        revision=newest.revision, workflow=make_definition("plain", project="other").workflow, document={}
    )
    plain = WorkflowDefinition.objects.latest("pk")
    plain.workflow = old.workflow.project.workflows.create(name="plain")
    plain.save()
    return old.workflow.project


def names(answer: Any) -> list[str]:
    return [workflow["name"] for workflow in answer.json()["workflows"]]


def test_the_command_of_digdag_is_told_that_it_may_go_on(nobody: Any) -> None:
    answer = nobody.get("version/check", client="0.10.5.1")

    assert answer.status_code == 200
    assert answer.json() == {
        "serverVersion": nobody.get("version").json()["version"],
        "upgradeRecommended": False,
        "apiCompatible": True,
    }


@pytest.mark.parametrize(
    "name", ["sales (prod)", "a&b", "x,y", "[eu] daily", "a+b", "_x", "Ünïcode", "a.b", "o'hara 50%", "(x)"]
)
def test_a_project_may_be_called_as_digdag_lets_people_call_theirs(client: Any, name: str) -> None:
    body = tgz({"a.dig": "+a:\n  echo>: x\n"})
    query = urlencode({"project": name, "revision": "r1"})

    pushed = client.send("PUT", f"projects?{query}", body, content_type="application/gzip")

    assert (pushed.status_code, pushed.json().get("name")) == (200, name)
    assert client.get("project", name=name).json() == pushed.json()


@pytest.mark.parametrize(
    "name", ["9lives", "+a", "a.dig", "a/b", "a\\b", "a$b", "a`b", "a|b", "a<b", "a:b", "a*b", 'a"b']
)
def test_other_names_of_projects_are_refused(client: Any, name: str) -> None:
    body = tgz({"a.dig": "+a:\n  echo>: x\n"})
    query = urlencode({"project": name, "revision": "r1"})

    refused = client.send("PUT", f"projects?{query}", body, content_type="application/gzip")

    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["project"])


def test_case_counts_in_a_part_of_a_name(client: Any, make_definition: Callable[..., WorkflowDefinition]) -> None:
    for name in ("Sales", "sales"):
        make_definition(f"{name}_report", project=name)

    assert [one["name"] for one in client.get("projects", name_pattern="sal").json()["projects"]] == ["sales"]
    assert names(client.get("workflows", name_pattern="Sal")) == ["Sales_report"]
    assert names(client.get("workflows", name_pattern="Sales", search_project_name="true")) == ["Sales_report"]


def test_an_archive_that_is_not_in_the_storage_any_more_is_a_404_that_says_so(client: Any) -> None:
    body = tgz({"a.dig": "+a:\n  echo>: only here\n"})
    pushed = client.send("PUT", "projects?project=p&revision=r1", body, content_type="application/gzip").json()
    storages["archives"].delete(Revision.objects.get().archive)

    answer = client.get(f"projects/{pushed['id']}/archive")

    assert answer.status_code == 404
    assert answer.json() == {
        "message": "The files of the revision 'r1' are not in the storage any more.",
        "status": 404,
    }


def test_a_project_is_found_by_its_name(client: Any, shop: Project) -> None:
    assert client.get("project", name="shop").json() == client.get(f"projects/{shop.pk}").json()
    assert client.get("project", name="sho").status_code == 404
    assert list(client.get("project").json()["errors"]) == ["name"]


@pytest.mark.parametrize("parameter", ["name", "workflow"])
def test_the_workflows_of_a_project_are_narrowed_to_one(client: Any, shop: Project, parameter: str) -> None:
    """The command of Digdag starts the first that it is answered: any other would be the wrong one."""
    path = f"projects/{shop.pk}/workflows"

    assert names(client.get(path)) == ["daily", "plain"]
    assert names(client.get(path, **{parameter: "plain"})) == ["plain"]
    assert names(client.get(path, **{parameter: "plain", "revision": "r1"})) == []
    assert names(client.get(path, **{parameter: "nothing"})) == []


def test_a_workflow_of_a_project_is_found_by_its_name_at_each_of_its_addresses(client: Any, shop: Project) -> None:
    (entry,) = client.get(f"projects/{shop.pk}/workflows", name="daily").json()["workflows"]

    assert client.get(f"projects/{shop.pk}/workflow", name="daily").json() == entry
    assert client.get(f"projects/{shop.pk}/workflows/daily").json() == entry
    assert client.get("workflow", project="shop", name="daily").json() == entry
    assert client.get(f"workflows/{entry['id']}").json() == entry


@pytest.mark.parametrize("revision", ["r1", "none"])
def test_a_workflow_that_the_revision_does_not_have_is_a_404(client: Any, shop: Project, revision: str) -> None:
    asked = {"name": "daily", "revision": revision}

    assert client.get(f"projects/{shop.pk}/workflow", **asked).status_code == 404
    assert client.get(f"projects/{shop.pk}/workflows/daily", revision=revision).status_code == 404
    assert client.get("workflow", project="shop", **asked).status_code == 404


def test_a_revision_is_found_by_its_name(client: Any, shop: Project) -> None:
    path = f"projects/{shop.pk}/revisions"

    assert [one["revision"] for one in client.get(path).json()["revisions"]] == ["r2", "r1"]
    assert [one["revision"] for one in client.get(path, name="r1").json()["revisions"]] == ["r1"]
    assert client.get(path, name="r3").json() == {"revisions": []}


def test_many_projects_and_workflows_can_be_asked_for_at_once(
    client: Any, make_definition: Callable[..., WorkflowDefinition], django_assert_num_queries: Any
) -> None:
    for number in range(120):
        make_definition("w", project=f"p{number}")
    assert len(client.get("projects").json()["projects"]) == 100
    client.get("projects")  # notes the use of the key
    for path in ("projects", "workflows"):
        with django_assert_num_queries(3):
            assert len(client.get(path, count=1000).json()[path]) == 120


def test_setting_and_deleting_a_secret_is_answered_with_its_key_and_project(client: Any, shop: Project) -> None:
    path, done = f"projects/{shop.pk}/secrets/db.password", {"id": str(shop.pk), "name": "shop"}

    assert client.put(path, {"value": "hunter2"}).json() == {"key": "db.password", "project": done}
    assert client.get(f"projects/{shop.pk}/secrets").json() == {"secrets": [{"key": "db.password"}]}
    assert client.send("DELETE", path, {}).json() == {"key": "db.password", "project": done}
    assert client.send("DELETE", path, {}).status_code == 200


@pytest.mark.parametrize(
    ("query", "wrong"),
    [("clear_schedule=nothing", "clear_schedule"), ("schedule_from=0001-01-01T00:00:00%2B14:00", "schedule_from")],
)
@pytest.mark.parametrize("content_type", ["application/gzip", "application/x-gzip", "application/gzip; x=y", ""])
def test_a_wrong_parameter_of_a_push_is_named_as_it_was_sent(
    client: Any, query: str, wrong: str, content_type: str
) -> None:
    body = tgz({"a.dig": "+a:\n  echo>: x\n"})

    answer = client.send("PUT", f"projects?project=p&revision=r1&{query}", body, content_type=content_type)

    assert (answer.status_code, list(answer.json()["errors"])) == (400, [wrong])


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"session_time": "2026-03-02T10:47:11Z"}, "2026-03-02T19:47:11+09:00"),
        ({"session_time": "2026-03-02 10:47:11"}, "2026-03-02T10:47:11+09:00"),
        ({"session_time": "2026-03-02T10:47:11Z", "mode": "hour"}, "2026-03-02T19:00:00+09:00"),
        ({"session_time": "2026-03-02T20:47:11Z", "mode": "day"}, "2026-03-03T00:00:00+09:00"),
        ({"session_time": "2026-03-02T20:47:11Z", "mode": "schedule"}, "2026-03-03T00:00:00+09:00"),
        ({"session_time": "2026-03-02T22:00:01Z", "mode": "schedule"}, "2026-03-04T00:00:00+09:00"),
        ({"session_time": "2026-03-02T15:00:00Z", "mode": "schedule"}, "2026-03-03T00:00:00+09:00"),
        ({"session_time": "2026-03-02T20:47:11Z", "mode": "next_schedule"}, "2026-03-04T00:00:00+09:00"),
    ],
)
def test_a_time_is_cut_to_a_session_time(client: Any, shop: Project, query: dict[str, str], shown: str) -> None:
    daily = WorkflowDefinition.objects.get(workflow__name="daily")

    assert client.get(f"workflows/{daily.pk}/truncated_session_time", **query).json() == {
        "project": {"id": str(shop.pk), "name": "shop"},
        "revision": "r2",
        "sessionTime": shown,
        "timezone": "Asia/Tokyo",
    }


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("mode", [None, "hour", "day", "schedule", "next_schedule"])
def test_a_time_at_the_ends_of_the_calendar_is_refused_where_it_has_no_answer(
    client: Any, shop: Project, time: str, mode: str | None
) -> None:
    daily = WorkflowDefinition.objects.get(workflow__name="daily")
    query = {"session_time": time} | ({"mode": mode} if mode else {})

    answer = client.get(f"workflows/{daily.pk}/truncated_session_time", **query)

    if time[:4] == "0001" and mode in {"schedule", "next_schedule"}:
        assert answer.json()["sessionTime"].startswith("0001-01-0")
    else:
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["session_time"])


def test_a_mode_that_needs_a_schedule_is_refused_where_there_is_none(client: Any, shop: Project) -> None:
    plain = WorkflowDefinition.objects.get(workflow__name="plain", revision__project=shop)

    answer = client.get(
        f"workflows/{plain.pk}/truncated_session_time", session_time="2026-03-02T00:00:00", mode="schedule"
    )

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["mode"]


def test_a_schedule_that_was_changed_tells_when(client: Any, schedule: Schedule) -> None:
    path = f"schedules/{schedule.pk}"
    moments = {"createdAt": "2026-03-02T12:00:00Z", "updatedAt": "2026-03-02T12:00:00Z"}

    for verb, body in (("disable", None), ("enable", {}), ("skip", {"nextTime": "2026-03-04T00:00:00Z"})):
        answer = client.post(f"{path}/{verb}", body).json()

        assert answer == client.get(path).json() | moments
    assert not set(moments) & set(client.get(path).json())


def test_log_files_are_narrowed_to_tasks_whose_names_begin_so(
    client: Any, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    attempt = make_attempt(schedule)
    for position, name in enumerate(("+w", "+w+a", "+w+b")):
        TaskRun.objects.create(
            attempt=attempt, position=position, full_name=name, state=TaskState.SUCCESS, updated_at=now
        )
        LogChunk.objects.create(attempt=attempt, position=position, text="x\n", written_at=now)

    def found(**query: str) -> list[str]:
        return [file["taskName"] for file in client.get(f"logs/{attempt.pk}/files", **query).json()["files"]]

    assert found() == ["+w", "+w+a", "+w+b"]
    assert found(task="+w+b") == ["+w+b"]
    assert found(task="+w", direct_download="false") == ["+w", "+w+a", "+w+b"]
    assert found(task="w") == []


def test_what_a_deleted_project_ran_can_still_be_read(
    client: Any, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule)
    project = schedule.workflow.project
    Revision.objects.filter(project=project).update(archive="")
    assert client.send("DELETE", f"projects/{project.pk}", {}).status_code == 200

    kept = [f"attempts/{attempt.pk}", f"sessions/{attempt.session_id}", f"attempts/{attempt.pk}/tasks"]
    assert {client.get(path).status_code for path in kept} == {200}
    gone = [f"projects/{project.pk}", f"projects/{project.pk}/sessions", f"schedules/{schedule.pk}"]
    assert {client.get(path).status_code for path in gone} == {404}
