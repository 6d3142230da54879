"""`manage.py start` and `manage.py retry`: the verb of the API, its refusals as a shell wants them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from projects.models import WorkflowDefinition
from scheduler.models import Attempt, AttemptStatus, Pool, Schedule, Session, TaskRun

# 01:30 of the 2nd of March in Tokyo.
NOW = datetime(2026, 3, 1, 16, 30, 20, tzinfo=UTC)
AT = datetime(2026, 3, 1, 15, 0, tzinfo=UTC)
DOCUMENT = {"+load": {"echo>": "1"}, "+tell": {"echo>": "2"}}

Manage = Callable[..., Any]
Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def report(make_schedule: Make) -> Schedule:
    schedule: Schedule = make_schedule("5 * * * *", timezone="Asia/Tokyo", name="report", document=DOCUMENT, at=NOW)
    schedule.definition.document = {**DOCUMENT, "schedule": {"cron>": "5 * * * *"}}
    schedule.definition.save()
    return schedule


@pytest.fixture
def failed(report: Schedule, make_attempt: Make) -> Attempt:
    attempt: Attempt = make_attempt(report, AT, status=AttemptStatus.ERROR, params={"region": "eu"})
    return attempt


def newest() -> Attempt:
    return Attempt.objects.order_by("-pk").select_related("session")[0]


# --- start -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "session_time"),
    [
        ([], NOW),
        (["--session", "now"], NOW),
        (["--session", "hourly"], datetime(2026, 3, 1, 16, 0, tzinfo=UTC)),
        (["--session", "daily"], datetime(2026, 3, 1, 15, 0, tzinfo=UTC)),
        (["--session", "schedule"], datetime(2026, 3, 1, 16, 5, tzinfo=UTC)),
        (["--session", "2026-02-01"], datetime(2026, 1, 31, 15, 0, tzinfo=UTC)),
        (["--session", "2026-02-01 07:00:00"], datetime(2026, 1, 31, 22, 0, tzinfo=UTC)),
        (["--session", "2026-02-01T07:00:00-08:00"], datetime(2026, 2, 1, 15, 0, tzinfo=UTC)),
    ],
)
def test_the_session_can_be_named_as_in_digdag(
    manage: Manage, report: Schedule, asked: list[str], session_time: datetime
) -> None:
    said = manage("start", "sales", "report", *asked)

    attempt = newest()
    assert (said.code, attempt.session.session_time, attempt.status) == (0, session_time, "queued")
    assert said.facts["attempt"] == str(attempt.pk)
    assert said.facts["workflow"] == "sales/report"
    assert datetime.fromisoformat(said.facts["session time"]) == session_time
    assert said.facts["session time"].endswith("+09:00")


def test_the_last_session_is_run_again_under_a_name(manage: Manage, report: Schedule, make_attempt: Make) -> None:
    make_attempt(report, AT)
    make_attempt(report, AT - timedelta(days=1))

    said = manage("start", "sales", "report", "--session", "last", "--retry", "again")

    assert (said.code, newest().session.session_time, newest().name) == (0, AT, "again")


def test_parameters_come_from_a_file_and_from_pairs_which_win(manage: Manage, report: Schedule, tmp_path: Path) -> None:
    file = tmp_path / "params.json"
    file.write_text('{"region": "us", "days": [1, 2]}')

    manage("start", "sales", "report", "-P", file, "-p", "region=eu", "-p", "query=a=b")

    assert newest().params == {"region": "eu", "days": [1, 2], "query": "a=b"}


def test_a_machine_gets_the_attempt_of_the_wire(manage: Manage, report: Schedule) -> None:
    entry = json.loads(manage("start", "sales", "report", "--json", "--session", "daily").out)

    assert (entry["id"], entry["status"]) == (str(newest().pk), "queued")
    assert entry["sessionTime"] == "2026-03-02T00:00:00+09:00"


def test_the_newest_revision_runs_unless_another_is_named(
    manage: Manage, report: Schedule, make_definition: Make
) -> None:
    newer: WorkflowDefinition = make_definition("report", DOCUMENT, timezone="Asia/Tokyo")

    manage("start", "sales", "report", "--session", "hourly")
    assert newest().definition_id == newer.pk
    manage("start", "sales", "report", "--session", "daily", "--revision", "r1")
    assert newest().definition_id == report.definition_id


def test_a_dry_run_checks_everything_and_writes_nothing(manage: Manage, failed: Attempt) -> None:
    fine = manage("start", "sales", "report", "--session", "2026-02-01", "--dry-run")
    taken = manage("start", "sales", "report", "--session", "daily", "--dry-run")

    assert (fine.code, fine.err.strip()) == (0, "Nothing was started: this is a dry run.")
    assert fine.facts["session time"] == "2026-02-01T00:00:00+09:00"
    assert "attempt" not in fine.facts
    assert (taken.code, taken.out) == (3, "")
    assert (Session.objects.count(), Attempt.objects.count()) == (1, 1)


def test_a_dry_run_for_machines_has_no_ids(manage: Manage, report: Schedule) -> None:
    entry = json.loads(manage("start", "sales", "report", "-d", "--json").out)

    assert (entry["id"], entry["sessionId"], entry["index"]) == ("0", "0", 0)
    assert not Session.objects.exists()


def test_what_is_there_already_is_named_with_exit_status_3(manage: Manage, failed: Attempt) -> None:
    said = manage("start", "sales", "report", "--session", "daily")

    assert (said.code, said.out) == (3, "")
    assert f"attempt {failed.pk}" in said.err


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["sale", "report"], "There is no project 'sale'; did you mean 'sales'?"),
        (["sales", "reports"], "There is no workflow 'reports' in the project 'sales', revision r1; did you mean"),
        (["sales", "report", "--revision", "r9"], "There is no revision 'r9' of the project 'sales'."),
        (["sales", "report", "--session", "yesterday"], "--session: Write a time such as"),
        (["sales", "report", "--session", "2026-02-30"], "--session: 2026-02-30 is not on the calendar"),
        (["sales", "report", "--session", "last"], "--session: The workflow 'report' has no session yet."),
        (["sales", "report", "--name", ""], "--name: Give the attempt"),
        (["sales", "report", "-p", "region"], "--param: Write KEY=VALUE, not 'region'."),
        (["sales", "report", "-p", "=1"], "--param: Write KEY=VALUE"),
        (["sales", "report", "-p", "a=\ud800"], "--param: The parameters hold a character"),
        (["sales", "report", "-P", "/nowhere.json"], "--params-file: /nowhere.json cannot be read: No such file"),
    ],
)
def test_a_refusal_names_what_is_wrong_and_writes_nothing(
    manage: Manage, report: Schedule, asked: list[str], sentence: str
) -> None:
    said = manage("start", *asked)

    assert said.code == 1
    assert said.err.startswith(sentence)
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"[1]", "holds [1], not a JSON object."),
        (b'{"a": NaN}', "is not JSON"),
        (b'{"a": 1, "a": 2}', "has a key twice"),
        (b"\xff", "is not UTF-8"),
        (b" " * 2_000_000, "is larger than 1,048,576 bytes."),
    ],
)
def test_a_file_of_parameters_is_read_as_strictly_as_on_the_wire(
    manage: Manage, report: Schedule, tmp_path: Path, text: bytes, sentence: str
) -> None:
    file = tmp_path / "params.json"
    file.write_bytes(text)

    said = manage("start", "sales", "report", "-P", file)

    assert said.code == 1
    assert f"--params-file: {file} {sentence}" in said.err


def test_a_schedule_is_needed_to_start_its_session(manage: Manage, make_definition: Make) -> None:
    make_definition("by_hand")

    said = manage("start", "sales", "by_hand", "--session", "schedule")

    assert (said.code, said.err) == (1, "--session: The workflow has no schedule, whose session could be taken.")


# --- retry -------------------------------------------------------------------------------------------------


def test_a_retry_runs_the_same_again_under_a_name_of_its_time(manage: Manage, failed: Attempt) -> None:
    said = manage("retry", failed.pk)

    attempt = newest()
    assert (said.code, said.facts["attempt"]) == (0, str(attempt.pk))
    assert (attempt.session_id, attempt.definition_id, attempt.params) == (
        failed.session_id,
        failed.definition_id,
        {"region": "eu"},
    )
    assert (attempt.name, attempt.resumed_from_id) == ("retry-2026-03-02-013020", None)


def test_a_retry_can_take_the_newest_revision_or_one_by_name(
    manage: Manage, failed: Attempt, make_definition: Make
) -> None:
    make_definition("report", DOCUMENT)
    newer = make_definition("report", DOCUMENT)

    manage("retry", failed.pk, "--latest-revision", "--name", "a")
    assert newest().definition_id == newer.pk
    Attempt.objects.filter(name="a").update(status="killed", finished_at=NOW)
    manage("retry", failed.pk, "--revision", "r1", "--name", "b")
    assert newest().definition_id == failed.definition_id


def test_a_newest_revision_without_the_workflow_is_told(manage: Manage, failed: Attempt, make_definition: Make) -> None:
    make_definition("another")

    said = manage("retry", failed.pk, "--latest-revision")

    assert (said.code, said.err) == (
        1,
        "Revision 'r2' has no workflow 'report'; --keep-revision runs the old one.",
    )
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize("task", ["+report+tell", "+tell", "tell"])
def test_a_retry_can_begin_at_a_task_named_with_or_without_the_workflow(
    manage: Manage, failed: Attempt, task: str
) -> None:
    TaskRun.objects.create(attempt=failed, position=2, full_name="+report+tell", updated_at=NOW)

    said = manage("retry", failed.pk, "--resume-from", task)

    assert (said.code, newest().resumed_from_id, newest().resume_position) == (0, failed.pk, 2)


def test_a_retry_can_leave_out_what_succeeded(manage: Manage, failed: Attempt) -> None:
    manage("retry", failed.pk, "--resume", "--name", "mend")

    assert (newest().name, newest().resumed_from_id, newest().resume_position) == ("mend", failed.pk, None)


def test_a_dry_retry_writes_nothing(manage: Manage, failed: Attempt) -> None:
    said = manage("retry", failed.pk, "--dry-run")

    assert (said.code, said.facts["name"]) == (0, "retry-2026-03-02-013020")
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize(
    ("asked", "code", "sentence"),
    [
        (["--resume-from", "+nope"], 1, "--resume-from: The workflow has no task '+report+nope'."),
        (["--name", ""], 1, "--name: Give the attempt"),
        (["--resume", "--all"], 1, "Error: argument --all: not allowed with argument --resume"),
    ],
)
def test_a_retry_that_is_refused_writes_nothing(
    manage: Manage, failed: Attempt, asked: list[str], code: int, sentence: str
) -> None:
    said = manage("retry", failed.pk, *asked)

    assert said.code == code
    assert said.err.startswith(sentence)
    assert Attempt.objects.count() == 1


def test_a_session_that_runs_is_not_retried(manage: Manage, report: Schedule, make_attempt: Make) -> None:
    running = make_attempt(report, AT, status=AttemptStatus.RUNNING)

    said = manage("retry", running.pk)

    assert (said.code, said.err) == (3, f"Attempt {running.pk} of this session is running; wait until it is done.")


@pytest.mark.django_db
def test_an_attempt_that_is_not_there_is_named(manage: Manage) -> None:
    assert manage("retry", 7)[1:] == ("There is no attempt 7.", 1)


def test_a_retry_runs_in_the_pool_of_the_attempt(manage: Manage, failed: Attempt) -> None:
    failed.pool = Pool.objects.create(name="narrow", slots=1)
    failed.save()

    manage("retry", failed.pk)

    assert newest().pool == failed.pool


def test_an_attempt_runs_in_the_pool_of_the_name(manage: Manage, failed: Attempt) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)

    manage("start", "sales", "report", "--pool", "narrow")
    assert newest().pool_id == pool.pk
    manage("retry", failed.pk, "--pool", "narrow")
    assert newest().pool_id == pool.pk
    said = manage("start", "sales", "report", "--session", "hourly", "--pool", "narow")
    assert (said.code, said.err) == (1, "There is no pool 'narow'; did you mean 'narrow'?")
