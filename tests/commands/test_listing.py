"""`manage.py sessions` and `manage.py attempts`: the lists of the API, in columns or as they are."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from scheduler.models import Attempt, AttemptStatus, Schedule, Session, TaskRun, TaskState
from scheduler.timetable import Kind

HOUR = timedelta(hours=1)
LISTS = ("schedules", "sessions", "attempts", "backfills")

Manage = Callable[..., Any]
Make = Callable[..., Any]


@pytest.fixture
def past(make_schedule: Make, make_attempt: Make, now: datetime) -> list[Attempt]:
    """Three sessions of one workflow in Tokyo, the last one run twice; one session of another project."""
    report = make_schedule(timezone="Asia/Tokyo", name="report")
    first, second, third = (make_attempt(report, now - hours * HOUR, status=status) for hours, status in LAST_HOURS)
    again = make_attempt(report, now - HOUR, name="again")
    other = make_attempt(make_schedule(project="shop", name="orders"), now - HOUR)
    return [first, second, third, again, other]


LAST_HOURS = [(3, AttemptStatus.SUCCESS), (2, AttemptStatus.KILLED), (1, AttemptStatus.ERROR)]


def wire(client: Client, key: str, path: str) -> Any:
    return client.get(f"/api/{path}", headers={"Authorization": f"TD1 {key}"}).json()


def test_sessions_are_listed_newest_first_with_their_latest_attempt(manage: Manage, past: list[Attempt]) -> None:
    first, second, third, again, other = past

    said = manage("sessions")

    assert said.cells == [
        ["SESSION", "WORKFLOW", "SESSION TIME", "ATTEMPT", "STATUS"],
        [str(other.session_id), "shop/orders", "2026-03-02T11:00:00+00:00", str(other.pk), "success"],
        [str(third.session_id), "sales/report", "2026-03-02T20:00:00+09:00", str(again.pk), "success"],
        [str(second.session_id), "sales/report", "2026-03-02T19:00:00+09:00", str(second.pk), "killed"],
        [str(first.session_id), "sales/report", "2026-03-02T18:00:00+09:00", str(first.pk), "success"],
    ]
    assert (said.err, said.code) == ("", 0)


def test_attempts_are_listed_newest_first_retries_too(manage: Manage, past: list[Attempt]) -> None:
    said = manage("attempts", "sales", "report")

    assert [[row[0], row[-1]] for row in said.cells] == [
        ["ATTEMPT", "STATUS"],
        [str(past[3].pk), "success"],
        [str(past[2].pk), "error"],
        [str(past[1].pk), "killed"],
        [str(past[0].pk), "success"],
    ]
    assert said.cells[1][3] == "again"


def test_schedules_are_listed_by_id_with_what_comes_next(manage: Manage, make_schedule: Make, now: datetime) -> None:
    report = make_schedule(kind=Kind.DAILY, expression="07:00:00", timezone="Asia/Tokyo", name="report")
    off = make_schedule(name="off", disabled_at=now)
    ended = make_schedule(name="ended", next_session_time=None, next_run_time=None)

    assert manage("schedules").cells == [
        ["ID", "WORKFLOW", "NEXT SESSION", "RUNS", "STATE"],
        [str(report.pk), "sales/report", "2026-03-03T00:00:00+09:00", "2026-03-02T22:00:00Z", "enabled"],
        [str(off.pk), "sales/off", "2026-03-02T13:00:00+00:00", "2026-03-02T13:00:00Z", "disabled"],
        [str(ended.pk), "sales/ended", "never again", "enabled"],
    ]
    assert [row[1] for row in manage("schedules", "sales", "off").cells[1:]] == ["sales/off"]


def test_pages_of_schedules_go_on_above_the_last_id(manage: Manage, make_schedule: Make) -> None:
    first, second = make_schedule(name="a"), make_schedule(name="b")

    page = manage("schedules", "-s", 1)

    assert [row[0] for row in page.cells[1:]] == [str(first.pk)]
    assert f"--last-id {first.pk}" in page.err
    assert [row[0] for row in manage("schedules", "-i", first.pk).cells[1:]] == [str(second.pk)]


def test_a_line_fits_in_a_hundred_columns(manage: Manage, make_schedule: Make, make_attempt: Make) -> None:
    make_attempt(make_schedule(project="p" * 200, name="w" * 200), name="n" * 200, status=AttemptStatus.CANCELING)

    lines = [line for command in LISTS for line in manage(command).out.splitlines()]

    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("asked", "found"), [(["sales"], 3), (["sales", "report"], 3), (["shop", "orders"], 1), ([], 4)]
)
def test_sessions_of_one_project_or_one_workflow(
    manage: Manage, past: list[Attempt], asked: list[str], found: int
) -> None:
    assert len(json.loads(manage("sessions", *asked, "--json").out)["sessions"]) == found


def test_machines_get_what_the_api_answers(manage: Manage, past: list[Attempt], client: Client, api_key: str) -> None:
    for command in ("schedules", "sessions"):
        assert json.loads(manage(command, "--json").out) == wire(client, api_key, command)
    assert json.loads(manage("attempts", "--json").out) == wire(client, api_key, "attempts?include_retried=true")
    one = past[2].pk
    assert json.loads(manage("attempts", "--attempt", one, "--json").out) == wire(client, api_key, f"attempts/{one}")
    of_session = wire(client, api_key, f"sessions/{past[2].session_id}/attempts")
    assert json.loads(manage("attempts", "--session", past[2].session_id, "--json").out) == of_session


def test_pages_go_on_below_the_last_id(manage: Manage, past: list[Attempt]) -> None:
    newest = manage("attempts", "-s", 2)
    older = manage("attempts", "-s", 3, "-i", newest.cells[-1][0])

    assert [row[0] for row in newest.cells[1:]] == [str(past[4].pk), str(past[3].pk)]
    assert f"--last-id {past[3].pk}" in newest.err
    assert [row[0] for row in older.cells[1:]] == [str(past[2].pk), str(past[1].pk), str(past[0].pk)]
    assert older.err == ""


def test_the_number_of_queries_does_not_grow(
    manage: Manage, past: list[Attempt], django_assert_max_num_queries: Any
) -> None:
    for command in LISTS:
        with django_assert_max_num_queries(3):
            manage(command)


def test_a_session_without_an_attempt_is_shown(manage: Manage, schedule: Schedule, make_session: Make) -> None:
    session: Session = make_session(schedule, schedule.next_session_time)

    assert manage("sessions").cells[1] == [
        str(session.pk),
        "sales/hourly_report",
        "2026-03-02T13:00:00+00:00",
        "no attempt",
    ]


def test_one_attempt_is_shown_with_its_reason_and_its_tasks(
    manage: Manage, schedule: Schedule, make_attempt: Make, now: datetime
) -> None:
    reason = {"message": "exit status 2", "task": "+report+load"}
    attempt = make_attempt(schedule, status=AttemptStatus.ERROR, reason=reason, params={"region": "eu"})
    made = [("+report", TaskState.GROUP_ERROR, {}), ("+report+load", TaskState.ERROR, {"message": "exit status 2"})]
    for position, (name, state, error) in enumerate(made):
        TaskRun.objects.create(
            attempt=attempt,
            position=position,
            full_name=name,
            state=state,
            error=error,
            started_at=now,
            updated_at=now,
        )

    said = manage("attempts", "--attempt", attempt.pk, "--tasks")

    assert said.facts["reason"] == "+report+load: exit status 2"
    assert said.facts["params"] == '{"region": "eu"}'
    assert said.facts["finished"] == "2026-03-02T12:00:00Z"
    assert said.cells[-3:] == [
        ["TASK", "STATE", "STARTED", "ERROR"],
        ["+report", "group_error", "2026-03-02T12:00:00Z"],
        ["+report+load", "error", "2026-03-02T12:00:00Z", "exit status 2"],
    ]
    entry = json.loads(manage("attempts", "--attempt", attempt.pk, "--tasks", "--json").out)
    assert [task["fullName"] for task in entry["tasks"]] == ["+report", "+report+load"]


@pytest.mark.django_db
def test_an_empty_list_says_so_beside_the_data(manage: Manage) -> None:
    for command in LISTS:
        assert manage(command) == ("", f"There are no {command}.\n", 0)
    assert json.loads(manage("sessions", "--json").out) == {"sessions": []}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["sessions", "sale"], "There is no project 'sale'; did you mean 'sales'?"),
        (
            ["attempts", "sales", "reprot"],
            "There is no workflow 'reprot' in the project 'sales'; did you mean 'report'?",
        ),
        (["attempts", "--session", "404"], "There is no session 404."),
        (["attempts", "--attempt", "404"], "There is no attempt 404."),
        (["attempts", "--tasks"], "--tasks goes with --attempt ID."),
        (["attempts", "sales", "--session", "1"], "Give a project, or --session, or --attempt."),
        (["attempts", "--session", "1", "--attempt", "1"], "Error: argument --attempt: not allowed with"),
        (["sessions", "--count", "0"], "Error: argument -s/--count: give a whole number from 1 to 1000"),
        (["sessions", "--count", "1001"], "Error: argument -s/--count: give a whole number from 1 to 1000"),
    ],
)
def test_a_refusal_names_what_is_wrong(manage: Manage, past: list[Attempt], asked: list[str], sentence: str) -> None:
    said = manage(*asked)

    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(sentence)


def test_a_deleted_project_is_not_listed_but_its_attempts_can_be_shown(
    manage: Manage, past: list[Attempt], now: datetime
) -> None:
    project = past[4].workflow.project
    project.deleted_at = now
    project.save()

    assert "shop" not in manage("attempts").out
    assert manage("attempts", "--attempt", past[4].pk).facts["workflow"] == "shop/orders"
