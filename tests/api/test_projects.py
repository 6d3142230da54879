"""Projects over the wire, by the Python client `tdworkflow` as it comes from PyPI, against a real server."""

import gzip
import io
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth.models import Permission, User
from tdworkflow.client import Client
from tdworkflow.exceptions import HttpError

from projects import apikeys
from projects.models import Project, Revision
from scheduler.execution.drain import drain
from scheduler.models import Attempt, Lane, Schedule

FILES = {
    "daily.dig": "timezone: Asia/Tokyo\nschedule:\n  daily>: 07:00:00\n+a:\n  echo>: ${session_date}\n",
    "plain.dig": "+a:\n  sh>: cat data/x.txt\n",
    "data/x.txt": "x\n",
}


@pytest.fixture(autouse=True)
def clock() -> None:
    """The real one: a server runs beside the test."""


@pytest.fixture
def author(operator: User) -> User:
    for name in ("add_revision", "delete_project", "change_secret", "run_attempt"):
        operator.user_permissions.add(Permission.objects.get(codename=name))
    return operator


@pytest.fixture
def http() -> Any:
    with requests.Session() as session:
        yield session


@pytest.fixture
def client(live_server: Any, author: User, http: requests.Session) -> Client:
    _, text = apikeys.issue(user=author, name="client", now=datetime.now(UTC))
    http.headers["Authorization"] = f"TD1 {text}"
    return Client(endpoint=urlsplit(live_server.url).netloc, scheme="http", apikey=text, _session=http)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., str]:
    """folder({"a.dig": "…"}): a project's folder."""

    def make(files: dict[str, str] = FILES) -> str:
        for name, text in files.items():
            path = tmp_path / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path / "project")

    return make


def test_a_folder_is_pushed_and_shown(client: Client, folder: Callable[..., str]) -> None:
    pushed = client.create_project("shop", folder(), revision="r1")

    assert (pushed.name, pushed.revision, pushed.archiveType) == ("shop", "r1", "db")
    assert client.project(pushed.id) == pushed
    assert client.projects(name="shop") == [pushed]
    assert client.projects(name_pattern="ho") == [pushed]
    assert client.projects(name="sho") == []
    assert [revision.revision for revision in client.project_revisions(pushed)] == ["r1"]
    workflows = client.project_workflows(pushed)
    assert [(one.name, one.timezone) for one in workflows] == [("daily", "Asia/Tokyo"), ("plain", "UTC")]
    assert client.workflow(workflows[0]) == workflows[0]
    assert client.workflows(name_pattern="dail") == [workflows[0]]
    assert [one.workflow.name for one in client.project_schedules(pushed)] == ["daily"]
    assert client.project_sessions(pushed) == []


def test_the_archive_comes_back_as_it_was_sent(
    client: Client, folder: Callable[..., str], tmp_path: Path, http: requests.Session
) -> None:
    pushed = client.create_project("shop", folder())

    client.download_project_archive(pushed, str(tmp_path / "back.tar.gz"))

    with tarfile.open(tmp_path / "back.tar.gz") as archive:
        assert {member.name.removeprefix("./") for member in archive if member.isfile()} == set(FILES)


def test_a_new_revision_takes_the_place_of_the_old_one(client: Client, folder: Callable[..., str]) -> None:
    first = client.create_project("shop", folder(), revision="r1")
    (schedule,) = client.project_schedules(first)

    second = client.create_project(
        "shop", folder({"daily.dig": FILES["daily.dig"] + "+b: {echo>: b}\n"}), revision="r2"
    )

    assert second.id == first.id
    assert [revision.revision for revision in client.project_revisions(first)] == ["r2", "r1"]
    assert len(client.project_workflows(first, revision="r1")) == 2
    (moved,) = client.project_schedules(first)
    assert moved.id == schedule.id
    assert moved.workflow.id != schedule.workflow.id


def test_a_revision_is_never_written_over(client: Client, folder: Callable[..., str]) -> None:
    client.create_project("shop", folder(), revision="r1")

    with pytest.raises(HttpError, match="has a revision 'r1' already"):
        client.create_project("shop", folder(), revision="r1")


def test_every_mistake_is_told_and_nothing_changes(client: Client, folder: Callable[..., str]) -> None:
    client.create_project("shop", folder(), revision="r1")

    with pytest.raises(HttpError) as refused:
        client.create_project(
            "shop", folder({"daily.dig": "+a:\n  eco>: x\n", "plain.dig": "+b:\n  sh>: x\n sh>: y\n"})
        )

    assert "daily.dig:2:3: There is no operator" in str(refused.value)
    assert "plain.dig:3" in str(refused.value)
    assert [revision.name for revision in Revision.objects.all()] == ["r1"]
    assert Schedule.objects.count() == 1


def test_secrets_are_set_listed_by_key_and_deleted(client: Client, folder: Callable[..., str]) -> None:
    pushed = client.create_project("shop", folder())

    assert client.set_secrets(pushed, {"db.password": "hunter2", "token": "t"})
    assert client.secrets(pushed) == ["db.password", "token"]
    assert client.delete_secret(pushed, "token")
    assert client.secrets(pushed) == ["db.password"]


def test_a_deleted_project_is_gone_and_its_name_is_free(client: Client, folder: Callable[..., str]) -> None:
    first = client.create_project("shop", folder())

    assert client.delete_project(first)

    with pytest.raises(HttpError, match="There is no project"):
        client.project(first.id)
    assert client.projects() == []
    assert client.create_project("shop", folder()).id != first.id


def test_the_history_of_a_deleted_project_is_read_by_id_and_listed_no_more(
    client: Client, folder: Callable[..., str], settings: Any, tmp_path: Path
) -> None:
    settings.HINDCAST_WORK_DIR = tmp_path / "work"
    pushed = client.create_project("shop", folder())
    workflow = next(one for one in client.project_workflows(pushed) if one.name == "plain")
    attempt = client.start_attempt(workflow, "2026-03-02T00:00:00+00:00")
    drain(Lane.MANUAL)

    client.delete_project(pushed)

    assert (client.attempts(), client.sessions()) == ([], [])
    assert client.attempt(attempt).status == "success"
    assert client.session(attempt.session_id).last_attempt is not None
    assert [one.id for one in client.session_attempts(attempt.session_id)] == [attempt.id]
    assert [one.id for one in client.retried_attempts(attempt)] == [attempt.id]
    assert [task.full_name for task in client.attempt_tasks(attempt)] == ["+plain", "+plain+a"]
    assert client.logs(attempt) == ["x\n"]
    with pytest.raises(HttpError, match="There is no attempt"):
        client.kill_attempt(attempt)


def test_logs_are_read_as_files(
    client: Client, folder: Callable[..., str], settings: Any, tmp_path: Path, http: requests.Session
) -> None:
    settings.HINDCAST_WORK_DIR = tmp_path / "work"
    pushed = client.create_project("shop", folder())
    workflow = next(one for one in client.project_workflows(pushed) if one.name == "plain")
    attempt = client.start_attempt(workflow, "2026-03-02T00:00:00+00:00")
    drain(Lane.MANUAL)

    (file,) = client.log_files(attempt)

    assert (file.taskName, file.fileSize) == ("+plain+a", 2)
    assert client.log_file(attempt, file) in ("x\n", b"x\n", gzip.compress(b"x\n", mtime=0))
    with pytest.raises(HttpError):
        client.log_file(attempt, "../../etc/passwd")
    assert Attempt.objects.get(pk=attempt.id).status == "success"


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("query", "body", "status", "message"),
    [
        ("project=shop&revision=r", packed({"shop/a.dig": b"+a: {echo>: x}"}), 400, "shop/a.dig is in a folder."),
        ("project=shop", packed({"a.dig": b"+a: {echo>: x}"}), 400, "revision:"),
        ("project=9shop&revision=r", packed({"a.dig": b"+a: {echo>: x}"}), 400, "project: Give a name that begins"),
        ("project=shop&revision=r", b"not gzip", 400, ""),
        ("project=shop&revision=r", packed({"../a.dig": b"+a: {echo>: x}"}), 400, "../a.dig"),
        ("project=shop&revision=r&clear_schedule=b", packed({"a.dig": b"+a: {echo>: x}"}), 400, "no workflow 'b'"),
        ("project=shop&revision=r&schedule_from=now", packed({"a.dig": b"+a: {echo>: x}"}), 400, "schedule_from"),
    ],
)
def test_a_push_that_is_wrong_is_refused_with_the_reason(
    client: Client, live_server: Any, http: requests.Session, query: str, body: bytes, status: int, message: str
) -> None:
    answer = http.put(
        f"{live_server.url}/api/projects?{query}", data=body, headers={"Content-Type": "application/gzip"}
    )

    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert message in answer.json()["message"]
    assert not Project.objects.exists()
