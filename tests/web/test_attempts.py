from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from projects.models import WorkflowDefinition
from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule, TaskRun, TaskState
from scheduler.starting import start

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def add_tasks() -> Callable[..., None]:
    def add(attempt: Attempt, *states: TaskState, error: Any = None) -> None:
        for position, state in enumerate((TaskState.PLANNED, *states)):
            TaskRun.objects.create(
                attempt=attempt,
                position=position,
                full_name="+wf" + (f"+step{position}" if position else ""),
                state=state,
                started_at=NOW,
                updated_at=NOW + timedelta(seconds=12),
                error=error if state == TaskState.ERROR else {},
            )

    return add


def test_the_reason_of_a_failure_comes_before_everything_else(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], add_tasks: Callable[..., None]
) -> None:
    attempt = make_attempt(
        schedule, NOW, status=AttemptStatus.ERROR, reason={"message": "disk full", "task": "+wf+load", "exit_code": 7}
    )
    add_tasks(attempt, TaskState.SUCCESS, TaskState.ERROR, error={"message": "No space left"})

    html = page.get(f"/attempts/{attempt.pk}").content.decode()

    assert html.index("+wf+load: disk full") < html.index("Tasks")
    assert "<dt>exit code</dt>" in html
    assert "No space left" in html
    assert "12 s" in html


@pytest.mark.parametrize("reason", ["text", ["a", 1], {"message": {"deep": [1]}}, {"message": None}, 7, {}])
def test_a_reason_of_any_shape_is_shown(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], reason: Any
) -> None:
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.ERROR, reason=reason)

    assert page.get(f"/attempts/{attempt.pk}").status_code == 200
    assert page.get("/attempts").status_code == 200


@pytest.mark.parametrize("status", list(AttemptStatus))
def test_a_page_moves_until_the_attempt_is_done(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], status: AttemptStatus
) -> None:
    attempt = make_attempt(schedule, NOW, status=status)

    html = page.get(f"/attempts/{attempt.pk}").content.decode()
    live = page.get(f"/attempts/{attempt.pk}/live").content.decode()

    assert (f'hx-get="/attempts/{attempt.pk}/live"' in html) == (not attempt.done)
    assert (f'hx-get="/attempts/{attempt.pk}/log?' in html) == (not attempt.done)
    assert ("hx-get" in live) == (not attempt.done)
    assert f"is-{status.value}" in live


def test_an_attempt_that_waits_for_its_turn_says_so(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.QUEUED, released_at=None)

    assert "waits for its turn" in page.get(f"/attempts/{attempt.pk}").content.decode()


def test_parameters_are_shown_as_json(page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    attempt = make_attempt(schedule, NOW, params={"region": "eu"})

    assert "&quot;region&quot;: &quot;eu&quot;" in page.get(f"/attempts/{attempt.pk}").content.decode()


def test_the_raw_log_is_plain_text_whole_and_in_order(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule, NOW)
    texts = [f"<b>line {number}</b>\n" for number in range(100)]
    LogChunk.objects.bulk_create(LogChunk(attempt=attempt, position=1, text=text, written_at=NOW) for text in texts)

    answer = page.get(f"/attempts/{attempt.pk}/log.txt")

    assert answer.getvalue().decode() == "".join(texts)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_page_takes_the_same_queries_however_many_tasks(
    page: Client,
    schedule: Schedule,
    make_attempt: Callable[..., Attempt],
    add_tasks: Callable[..., None],
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    small, large = make_attempt(schedule, NOW), make_attempt(schedule, NOW - timedelta(hours=1))
    add_tasks(small, TaskState.SUCCESS)
    add_tasks(large, *[TaskState.SUCCESS] * 400)
    for attempt in (small, large):
        LogChunk.objects.create(attempt=attempt, position=1, text="hello\n", written_at=NOW)

        with django_assert_num_queries(10):
            page.get(f"/attempts/{attempt.pk}")


def test_the_list_is_empty_with_an_explanation(page: Client, schedule: Schedule) -> None:
    assert "An attempt is one run of a session" in page.get("/attempts").content.decode()
    assert "No attempt is in the state error" in page.get("/attempts?status=error").content.decode()


def test_the_list_filters_by_state(page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW)
    failed = make_attempt(schedule, NOW - timedelta(hours=1), status=AttemptStatus.ERROR)

    rows = page.get("/attempts?status=error").context["list"].rows

    assert [row.number for row in rows] == [failed.pk]


def test_the_list_is_paged_and_keeps_its_filter(
    page: Client, schedule: Schedule, make_past: Callable[..., list[Attempt]], make_attempt: Callable[..., Attempt]
) -> None:
    past = make_past(schedule, 130, status=AttemptStatus.ERROR)
    make_attempt(schedule, NOW - timedelta(hours=200))

    first = page.get("/attempts?status=error").context["list"]
    second = page.get(f"/attempts{first.next_href}").context["list"]

    assert [row.number for row in (*first.rows, *second.rows)] == [attempt.pk for attempt in reversed(past)]
    assert second.next_href == ""
    assert second.first_href == "?status=error"


def test_the_list_takes_the_same_queries_however_many(
    page: Client,
    schedule: Schedule,
    make_past: Callable[..., list[Attempt]],
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    make_past(schedule, 1)
    with django_assert_num_queries(5):
        page.get("/attempts")

    make_past(schedule, 130, name="again")

    with django_assert_num_queries(5):
        answer = page.get("/attempts")
    assert len(answer.content) < 100_000


def test_a_session_shows_all_its_attempts(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], django_assert_num_queries: Any
) -> None:
    made = [make_attempt(schedule, NOW, name=f"run {number}") for number in range(60)]

    with django_assert_num_queries(7):
        first = page.get(f"/sessions/{made[0].session_id}")
    second = page.get(f"/sessions/{made[0].session_id}{first.context['list'].next_href}")

    rows = (*first.context["list"].rows, *second.context["list"].rows)
    assert [row.number for row in rows] == [attempt.pk for attempt in reversed(made)]


def test_a_session_of_a_workflow_without_a_schedule_is_named_in_the_zone_of_the_workflow(
    page: Client, make_definition: Callable[..., WorkflowDefinition], django_assert_num_queries: Any
) -> None:
    definition = make_definition(timezone="Asia/Tokyo")
    attempt = start(definition_id=definition.pk, session_time=datetime(2026, 3, 2, tzinfo=UTC), now=NOW)

    with django_assert_num_queries(5):
        html = page.get(f"/sessions/{attempt.session_id}").content.decode()

    assert "<h1>Session 2026-03-02 09:00 +09:00</h1>" in html
    assert "Asia/Tokyo" in html


def test_a_session_without_attempts_says_how_to_get_one(
    page: Client, schedule: Schedule, make_session: Callable[..., Any]
) -> None:
    session = make_session(schedule, NOW)

    assert "None yet." in page.get(f"/sessions/{session.pk}").content.decode()
    assert "no attempt" in page.get(f"/schedules/{schedule.pk}").content.decode()
