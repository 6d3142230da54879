from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.test import Client

from scheduler.models import Attempt, AttemptStatus, Lane, Schedule, Session
from scheduler.timetable import Kind
from scheduler.web import problems

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Queries = Callable[[int], AbstractContextManager[Any]]


@pytest.fixture(autouse=True)
def _at_noon() -> Any:
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        yield


@pytest.fixture
def make_failures(db: None) -> Callable[..., None]:
    """Failed sessions of every minute, the newest now, in a few statements."""

    def make(schedule: Schedule, count: int) -> None:
        times = [NOW - timedelta(minutes=minutes) for minutes in range(count - 1, -1, -1)]
        sessions = Session.objects.bulk_create(
            Session(workflow=schedule.workflow, session_time=time, created_at=NOW) for time in times
        )
        Attempt.objects.bulk_create(
            Attempt(
                session=session,
                workflow=schedule.workflow,
                definition=schedule.definition,
                index=1,
                status=AttemptStatus.ERROR,
                lane=Lane.SCHEDULED,
                created_at=NOW,
                finished_at=NOW,
            )
            for session in sessions
        )

    return make


def test_an_empty_list_names_the_command_that_fills_it(page: Client) -> None:
    assert "python manage.py demo" in page.get("/").content.decode()


def test_the_list_shows_timetable_next_run_and_last_sessions(
    page: Client, make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    schedule = make_schedule("07:00:00", kind=Kind.DAILY, timezone="Asia/Tokyo", name="revenue")
    make_attempt(schedule, datetime(2026, 3, 1, 15, 0, tzinfo=UTC))

    html = page.get("/").content.decode()

    assert "daily at 07:00 Asia/Tokyo" in html
    assert "2026-03-03 07:00 +09:00" in html
    assert "in 10 h" in html
    assert 'aria-label="Last session: 1 success"' in html


def test_failures_that_still_stand_come_first_with_the_way_to_mend_them(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    for hours in (5, 4, 2):
        failed = make_attempt(
            schedule,
            NOW - timedelta(hours=hours),
            status=AttemptStatus.ERROR,
            reason={"message": "disk full", "task": "+load"},
        )

    html = page.get("/").content.decode()

    problems = html[: html.index("<table")]
    assert "3 failed since" in problems
    assert "2026-03-02 07:00 +00:00" in problems
    assert "+load: disk full" in problems
    assert f"/attempts/{failed.pk}" in problems
    link = f"/schedules/{schedule.pk}/backfill?from=2026-03-02T07%3A00%3A00%2B00%3A00&amp;only=failed"
    assert f'<a href="{link}" aria-label="Backfill what failed of hourly_report">Backfill</a>' in problems


@pytest.mark.parametrize("sees_the_noisy_one", [True, False])
def test_a_workflow_that_fails_all_the_time_hides_no_other_one(
    onlooker: Client,
    make_schedule: Callable[..., Schedule],
    make_attempt: Callable[..., Attempt],
    make_failures: Callable[..., None],
    sees_the_noisy_one: bool,
) -> None:
    quiet, noisy = make_schedule(name="nightly"), make_schedule("* * * * *", name="noisy", project="else")
    make_attempt(quiet, NOW, status=AttemptStatus.ERROR, reason={"message": "disk full"})
    make_failures(noisy, 201)
    if not sees_the_noisy_one:
        noisy.workflow.project.groups.add(Group.objects.create(name="others"))

    listed = onlooker.get("/").context["problems"]

    told = [(row.workflow, row.count, row.reason) for row in listed]
    assert told == [
        *([("noisy", "201 failed", "")] if sees_the_noisy_one else []),
        ("nightly", "1 failed", "disk full"),
    ]


def test_of_very_many_failures_the_newest_are_counted(
    page: Client,
    schedule: Schedule,
    make_schedule: Callable[..., Schedule],
    make_failures: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(problems, "COUNTED", 3)
    make_failures(make_schedule(name="nightly"), 1)
    make_failures(schedule, 4)

    html = page.get("/").content.decode()

    assert "3+ failed since" in html
    assert "1+ failed since" in html
    assert " or earlier</span>" in html


def test_who_may_not_backfill_gets_no_link_to_it_among_the_problems(
    onlooker: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule, NOW, status=AttemptStatus.ERROR)

    html = onlooker.get("/").content.decode()

    assert "1 failed since" in html
    assert "/backfill?" not in html


def test_old_failures_make_room(page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW, status=AttemptStatus.ERROR, finished_at=NOW - timedelta(days=8))

    assert "not mended yet" not in page.get("/").content.decode()


def test_a_failure_that_a_later_attempt_mended_is_not_a_problem_any_more(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule, NOW, status=AttemptStatus.ERROR, reason={"message": "disk full"})
    make_attempt(schedule, NOW, name="fix")

    assert "disk full" not in page.get("/").content.decode()


def test_a_schedule_that_the_ticker_cannot_run_says_why(page: Client, make_schedule: Callable[..., Schedule]) -> None:
    make_schedule(error="Unknown time zone 'Mars'.", failures=3)

    html = page.get("/").content.decode()

    assert "Cannot run" in html
    assert "Unknown time zone &#x27;Mars&#x27;." in html


def test_a_row_that_holds_no_timetable_does_not_break_its_pages(
    page: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule)
    Schedule.objects.update(expression="not a cron", timezone="Mars/Olympus")

    for address in ("/", f"/schedules/{schedule.pk}", f"/schedules/{schedule.pk}/backfill"):
        assert page.get(address).status_code == 200
    answer = page.post(
        f"/schedules/{schedule.pk}/backfill", {"from_time": "2026-03-02", "attempt_name": "x", "action": "preview"}
    )
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()


def test_search_finds_by_workflow_and_by_project(page: Client, make_schedule: Callable[..., Schedule]) -> None:
    make_schedule(name="revenue", project="finance")
    make_schedule(name="contacts", project="crm")

    by_workflow, by_project = page.get("/?q=REV").content.decode(), page.get("/?q=crm").content.decode()

    assert "revenue" in by_workflow
    assert "contacts" not in by_workflow
    assert "contacts" in by_project
    assert "revenue" not in by_project


def test_the_list_is_paged_by_name_and_misses_nobody(page: Client, make_schedule: Callable[..., Schedule]) -> None:
    names = [f"w{number:03}" for number in range(120)]
    for name in reversed(names):
        make_schedule(name=name)

    seen: list[str] = []
    address = "/"
    while address:
        listed = page.get(address).context["list"]
        seen += [row.name for row in listed.rows]
        address = f"/{listed.next_href}" if listed.next_href else ""

    assert seen == names


def test_the_list_takes_the_same_queries_for_one_schedule_and_for_fifty(
    page: Client,
    make_schedule: Callable[..., Schedule],
    make_past: Callable[..., list[Attempt]],
    django_assert_num_queries: Queries,
) -> None:
    for number in range(3):
        make_past(make_schedule(name=f"w{number}"), 3, status=AttemptStatus.ERROR)
    with django_assert_num_queries(12):
        page.get("/")

    for number in range(3, 60):
        make_schedule(name=f"w{number}")
    make_past(Schedule.objects.get(workflow__name="w17"), 40)

    with django_assert_num_queries(12):
        page.get("/")


def test_a_list_of_fifty_with_full_strips_stays_light(
    page: Client, make_schedule: Callable[..., Schedule], make_past: Callable[..., list[Attempt]]
) -> None:
    for number in range(50):
        make_past(make_schedule(name=f"w{number}"), 1)
    workflows = Schedule.objects.values_list("workflow", "definition")
    sessions = Session.objects.bulk_create(
        Session(workflow_id=workflow, session_time=NOW - timedelta(hours=hours), created_at=NOW)
        for workflow, _ in workflows
        for hours in range(1, 30)
    )
    definitions = dict(workflows)
    Attempt.objects.bulk_create(
        Attempt(
            session=session,
            workflow_id=session.workflow_id,
            definition_id=definitions[session.workflow_id],
            index=1,
            status=AttemptStatus.SUCCESS,
            created_at=NOW,
            started_at=NOW,
            finished_at=NOW,
            lane="scheduled",
        )
        for session in sessions
    )

    answer = page.get("/")

    assert answer.content.decode().count('class="shape is-success"') == 50 * 30
    assert len(answer.content) < 100_000


def test_the_page_of_a_schedule_shows_what_comes_and_what_was(
    page: Client, schedule: Schedule, make_past: Callable[..., list[Attempt]]
) -> None:
    past = make_past(schedule, 3)

    html = page.get(f"/schedules/{schedule.pk}").content.decode()

    assert [f"2026-03-02 {hour}:00 +00:00" in html for hour in range(13, 18)] == [True] * 5
    assert all(f"/attempts/{attempt.pk}" in html for attempt in past)
    assert f"/schedules/{schedule.pk}/backfill" in html


def test_the_page_of_a_schedule_takes_the_same_queries_however_long_its_past_is(
    page: Client, schedule: Schedule, make_past: Callable[..., list[Attempt]], django_assert_num_queries: Queries
) -> None:
    make_past(schedule, 2)
    with django_assert_num_queries(12):
        page.get(f"/schedules/{schedule.pk}")

    make_past(schedule, 120, name="again")

    with django_assert_num_queries(12):
        page.get(f"/schedules/{schedule.pk}")


def test_sessions_are_paged_newest_first_and_none_is_missed(
    page: Client, schedule: Schedule, make_past: Callable[..., list[Attempt]]
) -> None:
    past = make_past(schedule, 120)

    seen: list[str] = []
    address = ""
    while True:
        listed = page.get(f"/schedules/{schedule.pk}{address}").context["sessions"]
        seen += [row.href for row in listed.rows]
        if not listed.next_href:
            break
        address = listed.next_href

    assert seen == [f"/sessions/{attempt.session_id}" for attempt in reversed(past)]


def test_who_may_not_backfill_is_told_what_it_takes(onlooker: Client, schedule: Schedule) -> None:
    html = onlooker.get(f"/schedules/{schedule.pk}").content.decode()

    assert "Can backfill schedules" in html
    assert f"/schedules/{schedule.pk}/backfill" not in html
    assert f"/schedules/{schedule.pk}/disable" not in html


def test_disable_and_enable_switch_the_schedule(keeper: Client, schedule: Schedule) -> None:
    html = keeper.post(f"/schedules/{schedule.pk}/disable", follow=True).content.decode()
    schedule.refresh_from_db()

    assert schedule.disabled_at is not None
    assert "Disabled. No new sessions start." in html

    html = keeper.post(f"/schedules/{schedule.pk}/enable", follow=True).content.decode()
    schedule.refresh_from_db()

    assert schedule.disabled_at is None
    assert "Enabled." in html


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_switching_takes_the_permission_and_a_post(page: Client, keeper: Client, schedule: Schedule, verb: str) -> None:
    assert page.post(f"/schedules/{schedule.pk}/{verb}").status_code == 403
    assert keeper.get(f"/schedules/{schedule.pk}/{verb}", follow=True).status_code == 200
    schedule.refresh_from_db()
    assert schedule.disabled_at is None


def test_staff_find_their_way_to_the_admin(page: Client, operator: Any, schedule: Schedule) -> None:
    address = f"/admin/scheduler/schedule/{schedule.pk}/change/"
    assert address not in page.get(f"/schedules/{schedule.pk}").content.decode()

    operator.is_staff = True
    operator.save()

    assert address in page.get(f"/schedules/{schedule.pk}").content.decode()
