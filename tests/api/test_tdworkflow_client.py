"""The Python client `tdworkflow`, as it comes from PyPI, against a real server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth.models import Permission, User
from tdworkflow.client import Client
from tdworkflow.exceptions import HttpError

from projects import apikeys
from scheduler.models import Attempt, AttemptStatus, Schedule, TaskRun

FROM = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> None:
    """The real one: a server runs beside the test."""


@pytest.fixture
def http() -> Any:
    with requests.Session() as session:
        yield session


@pytest.fixture
def client(live_server: Any, operator: User, http: requests.Session) -> Client:
    _, text = apikeys.issue(user=operator, name="client", now=datetime.now(UTC))
    http.headers["Authorization"] = f"TD1 {text}"
    return Client(endpoint=urlsplit(live_server.url).netloc, scheme="http", apikey=text, _session=http)


def test_it_lists_schedules(client: Client, schedule: Schedule) -> None:
    listed = client.schedules()[0]

    assert (listed.id, listed.project.name, listed.workflow.name) == (schedule.pk, "sales", "hourly_report")
    assert listed.next_run_time == schedule.next_run_time
    assert listed.disabled_at is None
    assert client.schedule(listed) == listed
    assert client.schedules(last_id=listed.id) == []


def test_it_looks_and_then_backfills(client: Client, schedule: Schedule) -> None:
    dry = client.backfill_schedule(schedule.pk, "again", FROM, dry_run=True)
    real = client.backfill_schedule(schedule.pk, "again", FROM, count=2)

    assert [attempt.id for attempt in dry.attempts] == [0, 0, 0]
    assert [attempt.session_time for attempt in real.attempts] == [FROM, FROM + timedelta(hours=1)]
    assert {attempt.retry_attempt_name for attempt in real.attempts} == {"again"}
    assert {attempt.status for attempt in real.attempts} == {"queued"}


def test_it_accepts_the_forms_of_time_that_the_client_writes(client: Client, schedule: Schedule) -> None:
    local = datetime(2026, 3, 2, 19, 0, 0, 1, tzinfo=UTC) - timedelta(hours=9)

    for number, start in enumerate([FROM, local, FROM.isoformat(), "2026-03-02T19:00:00.000+09:00"]):
        assert client.backfill_schedule(schedule.pk, f"n{number}", start, dry_run=True).attempts


def test_it_is_told_why_not(client: Client, schedule: Schedule) -> None:
    with pytest.raises(HttpError, match="The count is 50, but there are only 3 sessions"):
        client.backfill_schedule(schedule.pk, "again", FROM, count=50)
    with pytest.raises(HttpError, match="offset from UTC"):
        client.backfill_schedule(schedule.pk, "again", "2026-03-02 10:00")
    with pytest.raises(HttpError, match="There is no schedule 999"):
        client.backfill_schedule(999, "again", FROM)


def test_it_lists_sessions_and_attempts(
    client: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule, FROM)
    retry = make_attempt(schedule, FROM, status=AttemptStatus.ERROR, name="again", params={"a": 1})
    make_attempt(schedule, FROM + timedelta(hours=1), status=AttemptStatus.RUNNING)

    sessions = client.sessions()
    older = client.session(sessions[1])

    assert len(sessions) == 2
    assert older == sessions[1]
    assert (older.last_attempt.id, older.last_attempt.params) == (retry.pk, {"a": 1})
    assert [attempt.index for attempt in client.session_attempts(older)] == [2, 1]
    assert [attempt.index for attempt in client.retried_attempts(retry.pk)] == [1, 2]
    assert len(client.attempts(project="sales", workflow="hourly_report")) == 2
    assert len(client.attempts(include_retried=True)) == 3
    assert client.attempt(retry.pk) == client.attempts(last_id=retry.pk + 1)[0]
    assert len(client.sessions(page_size=1)) == 1


def test_it_lists_tasks(client: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    attempt = make_attempt(schedule, FROM)
    for position, parent in enumerate([None, 0]):
        TaskRun.objects.create(
            attempt=attempt, position=position, parent=parent, full_name=f"+w{position}", updated_at=FROM
        )

    root, step = client.attempt_tasks(attempt.pk)

    assert (root.full_name, root.parent_id, step.parent_id) == ("+w0", None, root.id)


def test_it_starts_retries_and_kills(client: Client, schedule: Schedule, operator: User) -> None:
    operator.user_permissions.add(Permission.objects.get(codename="run_attempt"))
    at = "2026-03-02T10:00:00.123456+00:00"

    first = client.start_attempt(schedule.definition_id, at, workflow_params={"a": 1})
    with pytest.raises(HttpError):
        client.start_attempt(schedule.definition_id, at)
    killed = client.kill_attempt(first)
    with pytest.raises(HttpError, match="is killed already"):
        client.kill_attempt(first)
    retry = client.start_attempt(schedule.definition_id, at, retry_attempt_name="again")

    assert (first.session_time, first.params, first.status) == (FROM, {"a": 1}, "queued")
    assert (killed.status, killed.done, killed.cancel_requested) == ("killed", True, True)
    assert (retry.session_id, retry.index, retry.retry_attempt_name) == (first.session_id, 2, "again")
    assert client.start_attempt(schedule.definition_id).session_time


def test_it_disables_enables_and_skips(client: Client, schedule: Schedule, operator: User) -> None:
    operator.user_permissions.add(Permission.objects.get(codename="change_schedule"))

    assert client.disable_schedule(schedule.pk).disabled_at is not None
    assert client.enable_schedule(schedule.pk).disabled_at is None
    dry = client.skip_schedule(schedule.pk, next_time="2026-03-02 15:00:00", dry_run=True)
    assert client.schedule(schedule.pk).next_run_time == schedule.next_run_time
    real = client.skip_schedule(schedule.pk, next_time="2026-03-02T15:00:00Z", next_run_time=FROM + timedelta(hours=6))
    with pytest.raises(HttpError, match="nothing to skip"):
        client.skip_schedule(schedule.pk, next_time="2026-03-02T15:00:00Z")

    assert dry.next_run_time == FROM + timedelta(hours=5)
    assert real.next_run_time == FROM + timedelta(hours=6) == client.schedule(schedule.pk).next_run_time


@pytest.mark.processes
def test_it_backfills_and_waits_for_success(client: Client, schedule: Schedule, live_worker: Any) -> None:
    started = client.backfill_schedule(schedule.pk, "again", FROM).attempts

    ended = [client.wait_attempt(attempt, wait_interval=1) for attempt in started]

    assert [attempt.status for attempt in ended] == ["success"] * 3
    assert all(attempt.success and attempt.finished() for attempt in ended)
    assert [task.state for task in client.attempt_tasks(ended[0])] == ["success", "success"]
