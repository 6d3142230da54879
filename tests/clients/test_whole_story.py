"""One story from the first push to the deletion, told by `tdworkflow` as it comes from PyPI, and by plain HTTP where
it has no call, to a site that runs: web, worker and beat in processes of their own.
"""

import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from tdworkflow.attempt import Attempt
from tdworkflow.client import Client
from tdworkflow.exceptions import HttpError
from tdworkflow.project import Project
from tdworkflow.schedule import Schedule
from tdworkflow.workflow import Workflow

pytestmark = pytest.mark.processes

Write = Callable[[dict[str, str]], str]
DAY = timedelta(days=1)
KOLKATA = timezone(timedelta(hours=5, minutes=30))
ORDERS = """\
timezone: Asia/Kolkata
schedule:
  daily>: NOT_SOON
+load:
  sh>: scripts/load.sh ${session_time}
+tell:
  echo>: after ${last_executed_session_time || 'nothing'}
"""
SEALED = """\
+a:
  _env:
    WORD: ${secret:shop.password}
  sh>: echo "$WORD ($(printf %s "$WORD" | wc -c))"
"""
FILES = {
    "pulse.dig": "schedule:\n  seconds_interval>: 1\n+beat:\n  echo>: ${session_unixtime}\n",
    "fragile.dig": "+first:\n  echo>: first\n+second:\n  sh>: test ${works} = yes\n+third:\n  echo>: third\n",
    "endless.dig": "+wait:\n  sh>: echo begun; sleep 600\n+never:\n  echo>: never\n",
    "sealed.dig": SEALED,
    "scripts/load.sh": "#!/bin/sh\necho loading $1\n",
}


@pytest.fixture
def get(site: str, http: requests.Session) -> Callable[..., Any]:
    """get("sessions", page_size=1): the document at an address of the API."""

    def ask(path: str, **query: Any) -> Any:
        answer = http.get(f"http://{site}/api/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def test_clients_do_here_what_they_do_there(
    client: Client, site: str, http: requests.Session, get: Any, write: Write, tmp_path: Path, wait_until: Any
) -> None:
    in_twelve_hours = datetime.now(KOLKATA) + timedelta(hours=12)
    orders_dig = ORDERS.replace("NOT_SOON", f"{in_twelve_hours:%H:%M:%S}")
    pushed = client.create_project("shop", write({**FILES, "orders.dig": orders_dig}), revision="first")
    orders, pulse = schedules_of(client, pushed)
    workflows = {workflow.name: workflow for workflow in client.project_workflows(pushed)}

    it_is_shown(client, get, pushed, orders)
    its_workflows_are_scheduled(client, pushed, pulse, wait_until)
    some_of_the_past_is_looked_at_and_then_run(client, orders)
    what_is_in_the_way_is_told(client, http, site, orders)
    all_of_the_past_up_to_now_is_run(client, get, orders)
    what_failed_is_run_again(client, http, site, workflows["fragile"])
    what_runs_is_killed(client, workflows["endless"], wait_until)
    a_schedule_is_skipped_switched_off_and_on(client, http, site, orders)
    secrets_are_kept_and_given_to_tasks_alone(client, pushed, workflows["sealed"])
    a_push_with_mistakes_changes_nothing(client, pushed, write({"orders.dig": "+a:\n  eco>: x\n"}))
    newer = write({"orders.dig": orders_dig.replace("after", "second, after")})
    a_new_revision_goes_on_where_the_old_one_was(client, get, pushed, orders, newer)
    archives_come_back(client, pushed, tmp_path, orders_dig)
    the_project_is_deleted(client, get, pushed)


def schedules_of(client: Client, project: Project) -> list[Schedule]:
    return sorted(client.project_schedules(project), key=lambda schedule: str(schedule.workflow.name))


def ended(client: Client, attempt: Attempt) -> Attempt:
    return client.wait_attempt(attempt, wait_interval=1)


def log_of(client: Client, attempt: Attempt) -> str:
    return "".join(str(text) for text in client.logs(attempt))


def states_of(client: Client, attempt: Attempt) -> dict[str, str]:
    return {task.full_name: task.state for task in client.attempt_tasks(attempt)}


def days_before(schedule: Schedule, count: int) -> datetime:
    return datetime.fromisoformat(str(schedule.next_schedule_time)) - count * DAY


def it_is_shown(client: Client, get: Any, pushed: Project, orders: Schedule) -> None:
    assert get("version")["version"]
    assert (pushed.name, pushed.revision) == ("shop", "first")
    assert client.projects(name="shop") == [client.project(pushed)] == [pushed]
    assert [workflow.name for workflow in client.workflows()] == ["endless", "fragile", "orders", "pulse", "sealed"]
    assert [schedule.id for schedule in client.schedules()] == [
        schedule.id for schedule in client.project_schedules(pushed)
    ]
    named = get("workflow", project="shop", name="orders")
    assert (named["id"], named["timezone"]) == (str(orders.workflow.id), "Asia/Kolkata")
    assert client.workflow(int(named["id"])) == client.workflows(name_pattern="order")[0]
    truncated = get(f"workflows/{named['id']}/truncated_session_time", session_time="2026-03-02T10:47:11Z", mode="hour")
    assert truncated["sessionTime"] == "2026-03-02T16:00:00+05:30"
    assert client.schedule(orders).next_run_time == orders.next_run_time > datetime.now(UTC)


def its_workflows_are_scheduled(client: Client, pushed: Project, pulse: Schedule, wait_until: Any) -> None:
    sessions = wait_until(lambda: client.project_sessions(pushed, workflow="pulse")[1:], 20)
    client.disable_schedule(pulse)

    first = client.session(sessions[-1])
    attempt = ended(client, client.session_attempts(first)[0])
    assert (attempt.status, attempt.index, attempt.retry_attempt_name) == ("success", 1, "")
    assert attempt.session_time is not None
    assert log_of(client, attempt) == f"{int(attempt.session_time.timestamp())}\n"


def some_of_the_past_is_looked_at_and_then_run(client: Client, orders: Schedule) -> None:
    start = days_before(orders, 5)

    dry = client.backfill_schedule(orders, "mend", start, dry_run=True, count=2)
    assert [attempt.id for attempt in dry.attempts] == [0, 0]
    assert client.attempts(project="shop", workflow="orders") == []

    real = client.backfill_schedule(orders, "mend", start, count=2)
    assert [attempt.session_time for attempt in real.attempts] == [start, start + DAY]
    done = [ended(client, attempt) for attempt in real.attempts]
    assert [(attempt.status, attempt.retry_attempt_name) for attempt in done] == [("success", "mend")] * 2
    written = [(start + n * DAY).isoformat() for n in range(2)]
    assert log_of(client, done[0]) == f"loading {written[0]}\nafter nothing\n"
    assert log_of(client, done[1]) == f"loading {written[1]}\nafter {written[0]}\n"
    assert [file.taskName for file in client.log_files(done[0])] == ["+orders+load", "+orders+tell"]
    assert states_of(client, done[0]) == {
        "+orders": "success",
        "+orders+load": "success",
        "+orders+tell": "success",
    }


def what_is_in_the_way_is_told(client: Client, http: requests.Session, site: str, orders: Schedule) -> None:
    start = days_before(orders, 5)

    with pytest.raises(HttpError, match="mend"):
        client.backfill_schedule(orders, "mend", start)

    body = {"attemptName": "mend", "fromTime": start.isoformat(), "dryRun": True}
    answer = http.post(f"http://{site}/api/schedules/{orders.id}/backfill", json=body)
    assert (answer.status_code, len(answer.json()["conflicts"])) == (409, 2)
    assert len(client.attempts(project="shop", workflow="orders", include_retried=True)) == 2


def all_of_the_past_up_to_now_is_run(client: Client, get: Any, orders: Schedule) -> None:
    everything = client.backfill_schedule(orders, "again", days_before(orders, 5)).attempts

    assert [attempt.session_time for attempt in everything] == [days_before(orders, left) for left in (5, 4, 3, 2, 1)]
    assert [attempt.index for attempt in everything] == [2, 2, 1, 1, 1]
    done = [ended(client, attempt) for attempt in everything]
    assert [attempt.status for attempt in done] == ["success"] * 5
    finished = [attempt.finished_at for attempt in done]
    assert finished == sorted(finished)
    assert [attempt.id for attempt in client.retried_attempts(done[0])][1] == done[0].id
    page = get("sessions", page_size=2)["sessions"]
    assert len(page) == 2
    assert int(page[-1]["id"]) > int(get("sessions", page_size=1, last_id=page[-1]["id"])["sessions"][0]["id"])


def what_failed_is_run_again(client: Client, http: requests.Session, site: str, fragile: Workflow) -> None:
    at = "2026-03-02T00:00:00+00:00"
    failed = ended(client, client.start_attempt(fragile, at, workflow_params={"works": "no"}))
    assert (failed.status, failed.success, failed.done) == ("error", False, True)
    assert states_of(client, failed)["+fragile+second"] == "error"
    with pytest.raises(HttpError):
        client.start_attempt(fragile, at)

    whole = ended(
        client, client.start_attempt(fragile, at, retry_attempt_name="whole", workflow_params={"works": "yes"})
    )
    assert (whole.status, log_of(client, whole)) == ("success", "first\nthird\n")

    body = {
        "workflowId": fragile.id,
        "sessionTime": at,
        "retryAttemptName": "the-rest",
        "params": {"works": "yes"},
        "resume": {"mode": "failed", "attemptId": failed.id},
    }
    answer = http.put(f"http://{site}/api/attempts", json=body)
    assert answer.status_code == 200, answer.text
    rest = ended(client, client.attempt(int(answer.json()["id"])))
    assert (rest.status, log_of(client, rest)) == ("success", "third\n")
    assert [attempt.index for attempt in client.session_attempts(rest.session_id)] == [3, 2, 1]


def what_runs_is_killed(client: Client, endless: Workflow, wait_until: Any) -> None:
    running = client.start_attempt(endless, "2026-03-02T00:00:00+00:00")
    wait_until(lambda: log_of(client, running) == "begun\n", 20)
    assert client.attempt(running).status == "running"

    killed = ended(client, client.kill_attempt(running))

    assert (killed.status, killed.success, killed.cancel_requested) == ("killed", False, True)
    assert set(states_of(client, killed).values()) == {"canceled"}
    with pytest.raises(HttpError, match="is killed already"):
        client.kill_attempt(killed)


def a_schedule_is_skipped_switched_off_and_on(
    client: Client, http: requests.Session, site: str, orders: Schedule
) -> None:
    off = client.disable_schedule(orders)
    assert off.disabled_at is not None
    ahead = days_before(orders, -3)
    body = {"fromTime": datetime.now(UTC).isoformat(), "count": 2, "dryRun": True}
    counted = http.post(f"http://{site}/api/schedules/{orders.id}/skip", json=body)
    assert counted.status_code == 200, counted.text
    client.skip_schedule(orders, next_time=ahead.isoformat(), dry_run=True)
    assert client.schedule(orders).next_run_time == orders.next_run_time
    skipped = client.skip_schedule(orders, next_time=ahead.isoformat())
    assert days_before(skipped, 0) == ahead
    on = client.enable_schedule(orders)
    assert (on.disabled_at, days_before(on, 0)) == (None, ahead)


def secrets_are_kept_and_given_to_tasks_alone(client: Client, pushed: Project, sealed: Workflow) -> None:
    assert client.set_secrets(pushed, {"shop.password": "correct horse", "token": "t0ken"})
    assert client.secrets(pushed) == ["shop.password", "token"]
    assert client.delete_secret(pushed, "token")
    assert client.secrets(pushed) == ["shop.password"]

    told = ended(client, client.start_attempt(sealed, "2026-03-02T00:00:00+00:00"))
    assert (told.status, log_of(client, told)) == ("success", "*** (13)\n")


def a_push_with_mistakes_changes_nothing(client: Client, pushed: Project, folder: str) -> None:
    with pytest.raises(HttpError) as refused:
        client.create_project("shop", folder)

    assert "orders.dig:2:3: There is no operator" in str(refused.value)
    assert [revision.revision for revision in client.project_revisions(pushed)] == ["first"]


def a_new_revision_goes_on_where_the_old_one_was(
    client: Client, get: Any, pushed: Project, orders: Schedule, folder: str
) -> None:
    with pytest.raises(HttpError, match="has a revision 'first' already"):
        client.create_project("shop", folder, revision="first")

    second = client.create_project("shop", folder)

    assert second.id == pushed.id
    assert [revision.revision for revision in client.project_revisions(pushed)] == [second.revision, "first"]
    (moved, _) = schedules_of(client, second)
    before = client.schedule(orders)
    assert (moved.id, moved.next_schedule_time) == (orders.id, before.next_schedule_time)
    (old,) = client.project_workflows(pushed, workflow="orders", revision="first")
    assert (orders.workflow.id, moved.workflow.id != old.id) == (old.id, True)
    (attempt,) = client.backfill_schedule(moved, "new-text", days_before(orders, 5), count=1).attempts
    assert "second, after" in log_of(client, ended(client, attempt))
    assert get(f"attempts/{attempt.id}")["workflow"]["id"] == str(moved.workflow.id)


def archives_come_back(client: Client, pushed: Project, tmp_path: Path, orders_dig: str) -> None:
    path = tmp_path / "back.tar.gz"

    client.download_project_archive(pushed, str(path), revision="first")

    with tarfile.open(path) as archive:
        files = {member.name: member for member in archive if member.isfile()}
        assert set(files) == {*FILES, "orders.dig"}
        content = archive.extractfile("orders.dig")
        assert content is not None
        assert content.read().decode() == orders_dig
        assert files["scripts/load.sh"].mode & 0o100


def the_project_is_deleted(client: Client, get: Any, pushed: Project) -> None:
    attempt = client.attempts(project="shop", workflow="orders")[0]

    assert client.delete_project(pushed)

    with pytest.raises(HttpError, match="There is no project"):
        client.project(pushed)
    assert (client.projects(), client.schedules(), client.workflows()) == ([], [], [])
    assert client.attempt(attempt).status == "success"
    assert "second, after" in log_of(client, attempt)
