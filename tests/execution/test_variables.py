"""The variables that a task sees."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.models import Attempt, Schedule
from scheduler.timetable import Kind

pytestmark = pytest.mark.django_db


@pytest.fixture
def echoed(execute: Callable[..., Attempt], log_of: Callable[[Attempt], str]) -> Callable[..., str]:
    """echoed("${x}", params=…): what echo> writes."""

    def echo(text: str, **fields: Any) -> str:
        attempt = execute({"+a": {"echo>": text}}, **fields)
        assert attempt.status == "success", attempt.reason
        return log_of(attempt).removesuffix("\n")

    return echo


FORMS = ("time", "date", "date_compact", "local_time", "tz_offset", "unixtime")


def forms(family: str) -> str:
    return "|".join(f"${{{family}_{form}}}" for form in FORMS)


def test_session_time_is_shown_in_every_form_in_the_workflows_zone(echoed: Callable[..., str]) -> None:
    text = echoed(forms("session"), timezone_name="Asia/Tokyo")

    assert text == "2026-03-02T00:30:00+09:00|2026-03-02|20260302|2026-03-02 00:30:00|+0900|1772379000"


@pytest.mark.parametrize("instant", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)])
def test_the_ends_of_the_calendar_are_shown_in_utc(echoed: Callable[..., str], instant: datetime) -> None:
    zone = "America/Los_Angeles" if instant.year == 1 else "Asia/Tokyo"

    assert echoed("${session_time}", session_time=instant, timezone_name=zone) == instant.isoformat()


def test_ids_and_names_are_there(execute: Callable[..., Attempt], log_of: Callable[[Attempt], str]) -> None:
    names = ["session_uuid", "session_id", "attempt_id", "retry_attempt_name", "project_id", "timezone", "task_name"]

    attempt = execute({"+g": {"+a": {"echo>": " ".join(f"${{{name}}}" for name in names)}}}, name="wf")

    session = attempt.session
    assert log_of(attempt).split() == [
        *map(str, (session.uuid, session.pk, attempt.pk)),
        *(str(session.workflow.project_id), "UTC", "+wf+g+a"),
    ]


def test_last_executed_session_time_is_empty_text_where_there_is_none(echoed: Callable[..., str]) -> None:
    before = datetime(2026, 2, 28, 15, 30, tzinfo=UTC)

    assert echoed(forms("last_executed_session")) == "|||||"
    assert echoed("${last_executed_session_time}", last_executed_session_time=before) == "2026-02-28T15:30:00+00:00"


@pytest.mark.usefixtures("db")
def test_neighbours_follow_the_schedules_arithmetic(
    make_schedule: Callable[..., Schedule],
    make_attempt: Callable[..., Attempt],
    execute: Callable[..., Attempt],
    log_of: Callable[[Attempt], str],
) -> None:
    document = {"+a": {"echo>": f"{forms('last_session')} {forms('next_session')}"}}
    midnight = datetime(2026, 3, 8, 8, tzinfo=UTC)  # of the day on which the clocks go forward
    schedule = make_schedule("07:00:00", kind=Kind.DAILY, timezone="America/Los_Angeles", document=document)
    attempt = make_attempt(schedule, midnight, status="queued", lane="manual")

    execute({"+other": {"echo>": "drains both"}})

    assert log_of(attempt).split(" ", 1)[0].startswith("2026-03-07T00:00:00-08:00|2026-03-07|20260307|2026-03-07")
    assert "2026-03-09T00:00:00-07:00|2026-03-09|20260309|2026-03-09 00:00:00|-0700|1773039600" in log_of(attempt)


def test_without_a_schedule_there_are_no_neighbours(execute: Callable[..., Attempt]) -> None:
    attempt = execute({"+a": {"echo>": "${last_session_time}"}})

    assert attempt.reason == {
        "message": "There is no variable 'last_session_time'.",
        "variable": "last_session_time",
        "task": "+wf+a",
    }


def test_neighbours_cost_no_query_when_nobody_asks(
    execute: Callable[..., Attempt], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(30) as queries:
        execute({"+a": {"echo>": "${session_time}"}})

    assert not [query for query in queries.captured_queries if 'FROM "scheduler_schedule"' in query["sql"]]


def test_params_fill_names_but_never_those_built_in(echoed: Callable[..., str]) -> None:
    text = echoed(
        "${x} ${deep.y} ${session_date} ${task_name}", params={"x": 1, "deep": {"y": 2}, "session_date": "no"}
    )

    assert text == "1 2 2026-03-01 +wf+a"


def test_the_innermost_export_wins_over_the_outer_and_over_params(
    execute: Callable[..., Attempt], log_of: Callable[[Attempt], str]
) -> None:
    document = {
        "_export": {"a": "root", "b": "root ${session_date}", "c": {"d": "${a}"}},
        "+g": {"_export": {"a": "group"}, "+t": {"_export": {"x": "task"}, "echo>": "${a} ${b} ${c.d} ${x}"}},
        "+t": {"echo>": "${a} ${p}"},
    }

    attempt = execute(document, params={"a": "param", "p": "${a}"})

    assert log_of(attempt) == "group root 2026-03-01 group task\nroot ${a}\n"


def test_an_export_made_of_itself_fails_the_task(execute: Callable[..., Attempt]) -> None:
    attempt = execute({"_export": {"a": "${b}", "b": "${a}"}, "+t": {"echo>": "${a}"}})

    assert attempt.reason["message"] == "The variable 'a' is made of itself."


def test_a_setting_of_the_name_of_a_variable_can_be_made_of_it(
    execute: Callable[..., Attempt], log_of: Callable[[Attempt], str]
) -> None:
    inner = {"_export": {"day": "${day}!"}, "+t": {"echo>": "${day}", "day": "a ${day}"}}

    attempt = execute({"_export": {"day": "${day} ${session_date}"}, "+g": inner}, params={"day": "fine"})

    assert (attempt.reason, log_of(attempt)) == ({}, "a fine 2026-03-01!\n")


def test_mappings_of_the_same_name_are_merged_the_innermost_winning(
    execute: Callable[..., Attempt], log_of: Callable[[Attempt], str]
) -> None:
    document = {
        "_export": {"mail": {"host": "${h}", "to": {"a": 1, "b": 2}}, "gone": {"x": 1}, "kept": 1},
        "+g": {
            "_export": {"mail": {"from": "me", "to": {"b": 3}}, "gone": "text", "kept": {"y": 1}},
            "+t": {"echo>": "${mail} ${gone} ${kept}"},
        },
    }

    attempt = execute(document, params={"h": "smtp", "mail": {"port": 25}})

    mail = '{"port":25,"host":"smtp","to":{"a":1,"b":3},"from":"me"}'
    assert (attempt.reason, log_of(attempt)) == ({}, mail + ' text {"y":1}\n')
