"""The action "Backfill…": ask, preview, run; all of the selected schedules or none."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from projects.models import Project
from scheduler.models import Attempt, AttemptStatus, Backfill, Pool, Schedule, Session

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
URL = "/admin/scheduler/schedule/"
WANTED = {"from_time": "2026-03-02 00:00", "count": "3", "attempt_name": "fix-1"}


@pytest.fixture
def client(make_staff: Callable[..., User], enter: Callable[[User], Client]) -> Client:
    return enter(make_staff("olaf", "scheduler.backfill_schedule"))


@pytest.fixture
def post(client: Client) -> Callable[..., Any]:
    """One step of the action for some schedules."""

    def step(name: str, schedules: list[Schedule], **fields: str) -> Any:
        sent = {"action": "backfill", "_selected_action": [schedule.pk for schedule in schedules]}
        return client.post(URL, {**sent, **({"step": name} if name else {}), **fields})

    return step


@pytest.fixture
def two(make_schedule: Callable[..., Schedule]) -> list[Schedule]:
    return [make_schedule(name="first"), make_schedule("0 0 * * *", name="second", timezone="Asia/Tokyo")]


def marks(response: Any) -> dict[str, str]:
    """The hidden fields that say which session times were shown."""
    return {choice.mark: choice.table.fingerprint for choice in response.context["choices"]}


def nothing_written() -> bool:
    return not (Backfill.objects.exists() or Session.objects.exists() or Attempt.objects.exists())


def words(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


# --- the way through ------------------------------------------------------------------------------------------


def test_the_first_step_asks_with_the_form_in_the_schedules_zone(
    post: Callable[..., Any], make_schedule: Callable[..., Schedule]
) -> None:
    schedule = make_schedule(timezone="Asia/Tokyo")

    response = post("", [schedule], index="0")

    assert response.status_code == 200
    assert "Backfill sales / hourly_report" in words(response)
    assert "Local time in Asia/Tokyo" in words(response)
    assert f'name="_selected_action" value="{schedule.pk}"' in response.content.decode()
    assert nothing_written()


def test_the_preview_shows_every_slot_and_writes_nothing(
    post: Callable[..., Any], make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    schedule = make_schedule(timezone="Asia/Tokyo")
    make_attempt(schedule, datetime(2026, 3, 1, 16, tzinfo=UTC), status=AttemptStatus.ERROR)

    response = post("preview", [schedule], **WANTED)

    text = words(response)
    assert "Session time in Asia/Tokyo" in text
    assert "2026-03-02 00:00 +09:00 2026-03-01 15:00 UTC no session new session" in text
    assert "2026-03-02 01:00 +09:00 2026-03-01 16:00 UTC error one more attempt" in text
    assert "2 new sessions, 1 more attempt" in text
    assert 'value="Run 3 sessions"' in response.content.decode()
    assert (Session.objects.count(), Attempt.objects.count(), Backfill.objects.count()) == (1, 1, 0)


def test_confirming_runs_what_was_shown_and_links_to_it(
    post: Callable[..., Any], client: Client, schedule: Schedule
) -> None:
    shown = post("preview", [schedule], **WANTED)

    response = post("run", [schedule], **WANTED, **marks(shown))

    backfill = Backfill.objects.get()
    assert (response.status_code, response["Location"]) == (302, URL)
    assert (backfill.name, backfill.sessions, backfill.created_by.username) == ("fix-1", 3, "olaf")
    assert Attempt.objects.filter(backfill=backfill, name="fix-1").count() == 3
    html = client.get(URL).content.decode()
    assert "3 sessions to run" in html
    assert f'href="/admin/scheduler/backfill/{backfill.pk}/change/"' in html


def test_two_schedules_are_previewed_and_run_together(post: Callable[..., Any], two: list[Schedule]) -> None:
    wanted = {**WANTED, "count": "1"}

    shown = post("preview", two, **wanted)
    response = post("run", two, **wanted, **marks(shown))

    assert "Backfill 2 schedules" in words(shown)
    assert 'value="Run 2 sessions"' in shown.content.decode()
    assert response.status_code == 302
    assert set(Backfill.objects.values_list("schedule", flat=True)) == {schedule.pk for schedule in two}


def test_a_local_time_is_read_in_the_zone_of_each_schedule(post: Callable[..., Any], two: list[Schedule]) -> None:
    wanted = {**WANTED, "count": "1", "from_time": "2026-03-01 00:00"}

    post("run", two, **wanted, **marks(post("preview", two, **wanted)))

    times = dict(Session.objects.values_list("workflow__name", "session_time"))
    assert times == {
        "first": datetime(2026, 3, 1, 0, tzinfo=UTC),
        "second": datetime(2026, 2, 28, 15, tzinfo=UTC),
    }


def test_the_way_back_to_the_form_keeps_what_was_written(post: Callable[..., Any], schedule: Schedule) -> None:
    html = post("form", [schedule], **WANTED, dry_run="on").content.decode()

    assert 'value="fix-1"' in html
    assert 'value="2026-03-02 00:00"' in html
    assert re.search(r'name="dry_run"[^>]*checked', html)


def test_a_dry_run_is_shown_and_not_offered_to_run(post: Callable[..., Any], schedule: Schedule) -> None:
    shown = post("preview", [schedule], **WANTED, dry_run="on")
    posted = post("run", [schedule], **WANTED, dry_run="on", **marks(shown))

    assert all("Run 3 sessions" not in answer.content.decode() for answer in (shown, posted))
    assert "Nothing has been written." in words(posted)
    assert nothing_written()


def test_the_preview_draws_two_hundred_rows_and_counts_the_rest(
    post: Callable[..., Any], make_schedule: Callable[..., Schedule]
) -> None:
    schedule = make_schedule("*/5 * * * *")

    response = post("preview", [schedule], **{**WANTED, "from_time": "2026-02-28", "count": ""})

    html = response.content.decode()
    assert html.count("<td>new session</td>") == 200
    assert "Run 721 sessions" in html
    assert response.context["choices"][0].table.rest in html
    assert "521" in response.context["choices"][0].table.rest


def test_the_preview_takes_as_many_queries_for_many_slots_as_for_few(
    post: Callable[..., Any], make_schedule: Callable[..., Schedule]
) -> None:
    schedule = make_schedule("*/5 * * * *")
    counts = []

    for count in ("2", "500"):
        with CaptureQueriesContext(connection) as queries:
            post("preview", [schedule], **{**WANTED, "from_time": "2026-02-28", "count": count})
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_nothing_to_run_is_said(post: Callable[..., Any], schedule: Schedule) -> None:
    response = post("preview", [schedule], **{**WANTED, "from_time": "2026-03-03", "count": ""})

    assert "There is nothing to run." in words(response)
    assert 'value="Run' not in response.content.decode()


# --- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["preview", "run"])
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("attempt_name", "", "Give the attempts a name."),
        ("attempt_name", "x" * 256, "256 characters"),
        ("attempt_name", "a\x07b", "control character"),
        ("attempt_name", "a\x00b", "Null characters"),
        ("from_time", "", "Give the time"),
        ("from_time", "yesterday", "Write a time"),
        ("from_time", "2026-02-30", "not on the calendar"),
        ("from_time", "0001-01-01T00:00+14:00", "between the years 1 and 9999"),
        ("count", "0", "1 is the least"),
        ("count", "-1", "1 is the least"),
        ("count", "1.5", "whole number"),
        ("count", "99999999", "at the most"),
        ("count", "14", "only 13 sessions"),
    ],
)
def test_bad_input_is_refused_beside_its_field(
    step: str, field: str, value: str, said: str, post: Callable[..., Any], schedule: Schedule
) -> None:
    response = post(step, [schedule], **{**WANTED, field: value})

    assert response.status_code == 200
    assert said in " ".join(response.context["form"].errors[field])
    assert nothing_written()


def test_with_several_schedules_a_refusal_names_its_schedule(post: Callable[..., Any], two: list[Schedule]) -> None:
    response = post("preview", two, **WANTED)

    assert response.context["form"].errors["count"] == [
        "sales / second: The count is 3, but there are only 1 sessions until the next schedule time."
    ]
    assert nothing_written()


def test_a_conflict_is_listed_first_and_not_offered_to_run(
    post: Callable[..., Any], schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    live = make_attempt(schedule, datetime(2026, 3, 2, 1, tzinfo=UTC), status=AttemptStatus.RUNNING)

    response = post("preview", [schedule], **WANTED)

    first = response.context["choices"][0].table.rows[0]
    assert first.reason == f"attempt {live.pk} is running"
    assert f"attempt {live.pk} is running" in words(response)
    assert 'value="Run' not in response.content.decode()


def test_a_conflict_on_one_of_two_schedules_writes_nothing_on_either(
    post: Callable[..., Any], two: list[Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    wanted = {**WANTED, "count": "1"}
    shown = marks(post("preview", two, **wanted))
    make_attempt(two[1], datetime(2026, 3, 1, 15, tzinfo=UTC), status=AttemptStatus.QUEUED)

    response = post("run", two, **wanted, **shown)

    assert response.status_code == 200
    assert "sales / second: 1 of 1 sessions already has an attempt" in words(response)
    assert "Nothing has been run." in words(response)
    assert (Backfill.objects.count(), Attempt.objects.count()) == (0, 1)


def test_pressing_the_button_twice_runs_once(post: Callable[..., Any], schedule: Schedule) -> None:
    shown = marks(post("preview", [schedule], **WANTED))

    post("run", [schedule], **WANTED, **shown)
    again = post("run", [schedule], **WANTED, **shown)

    assert again.status_code == 200
    assert "Nothing has been run." in words(again)
    assert Backfill.objects.count() == 1


def test_sessions_other_than_those_shown_are_not_run(post: Callable[..., Any], schedule: Schedule) -> None:
    wanted = {**WANTED, "count": ""}
    shown = marks(post("preview", [schedule], **wanted))
    Schedule.objects.update(
        next_session_time=schedule.next_session_time + timedelta(hours=1),
        next_run_time=schedule.next_run_time + timedelta(hours=1),
    )

    moved = post("run", [schedule], **wanted, **shown)
    unseen = post("run", [schedule], **wanted)

    assert all("not those that you saw" in words(answer) for answer in (moved, unseen))
    assert nothing_written()


def test_more_sessions_together_than_the_limit_are_refused(
    post: Callable[..., Any], two: list[Schedule], settings: Any
) -> None:
    wanted = {**WANTED, "count": "2", "from_time": "2026-03-01 00:00"}
    shown = marks(post("preview", two, **wanted))
    settings.HINDCAST_MAX_BACKFILL_SESSIONS = 3

    answers = [post("preview", two, **wanted), post("run", two, **wanted, **shown)]

    assert all("more than 3 sessions together" in answer.context["form"].errors["count"][0] for answer in answers)
    assert nothing_written()


def test_more_schedules_than_one_go_takes_are_refused(
    post: Callable[..., Any], make_schedule: Callable[..., Schedule]
) -> None:
    many = [make_schedule(name=f"w{number}") for number in range(51)]

    response = post("preview", many, **WANTED)

    assert (response.status_code, response["Location"]) == (302, URL)
    assert nothing_written()


def test_a_schedule_that_went_away_meanwhile_stops_the_run(post: Callable[..., Any], two: list[Schedule]) -> None:
    wanted = {**WANTED, "count": "1"}
    shown = marks(post("preview", two, **wanted))
    Schedule.objects.filter(pk=two[1].pk).delete()

    response = post("run", two, **wanted, **shown)

    assert "1 of the selected schedules is not there any more" in words(response)
    assert nothing_written()


def test_a_schedule_of_a_deleted_project_is_refused(superuser_client: Client, schedule: Schedule) -> None:
    Project.objects.update(deleted_at=NOW)
    sent = {"action": "backfill", "_selected_action": schedule.pk, "step": "preview", **WANTED}

    response = superuser_client.post(URL, sent)

    assert f"There is no schedule {schedule.pk}." in words(response)
    assert nothing_written()


def test_a_schedule_without_a_timetable_is_refused(post: Callable[..., Any], schedule: Schedule) -> None:
    Schedule.objects.update(expression="61 * * * *")

    response = post("preview", [schedule], **WANTED)

    assert response.status_code == 200
    assert response.context["form"].non_field_errors()
    assert nothing_written()


def test_without_the_permission_the_action_is_not_offered_and_does_nothing(
    make_staff: Callable[..., User], enter: Callable[[User], Client], schedule: Schedule
) -> None:
    client = enter(make_staff("sam", "scheduler.change_schedule"))
    sent = {"action": "backfill", "_selected_action": schedule.pk, "step": "run", **WANTED}

    html = client.get(URL).content.decode()
    response = client.post(URL, sent)

    assert 'value="backfill"' not in html
    assert response.status_code == 302
    assert nothing_written()


def test_a_schedule_that_the_user_may_not_see_cannot_be_named(
    post: Callable[..., Any], schedule: Schedule, make_user: Callable[..., User]
) -> None:
    schedule.workflow.project.groups.create(name="others")

    response = post("preview", [schedule], **WANTED)

    assert response.status_code == 302
    assert nothing_written()


@pytest.mark.parametrize("selection", ["x", "1 OR 1=1", "-1", "9" * 30, "\x00", ""])
def test_a_selection_that_is_no_list_of_ids_does_nothing(selection: str, client: Client, schedule: Schedule) -> None:
    response = client.post(URL, {"action": "backfill", "_selected_action": selection, "step": "run", **WANTED})

    assert response.status_code == 302
    assert nothing_written()


def test_hostile_names_are_shown_as_text_on_every_step(
    post: Callable[..., Any], client: Client, make_schedule: Callable[..., Schedule]
) -> None:
    evil = '"><script>alert(1)</script>'
    schedule = make_schedule(name=evil, project=evil)
    again = '"><script>alert(2)'  # a slash in it would be refused
    wanted = {**WANTED, "attempt_name": again}
    shown = post("preview", [schedule], **wanted)
    pages = [post("", [schedule]), post("form", [schedule], **wanted), shown]

    pages.append(post("run", [schedule], **wanted))  # refused: nothing says what was seen
    post("run", [schedule], **wanted, **marks(shown))
    pages += [client.get(URL), client.get(reverse("admin:scheduler_backfill_changelist"))]

    assert all("<script>alert" not in page.content.decode() for page in pages)
    assert Backfill.objects.get().name == again


def test_the_pages_need_no_inline_scripts_or_styles(post: Callable[..., Any], schedule: Schedule) -> None:
    pages = [post("", [schedule]), post("preview", [schedule], **WANTED), post("preview", [schedule], attempt_name="")]

    for page in pages:
        html = page.content.decode()
        assert not re.search(r"<script(?![^>]*src=)[^>]*>\s*\S", html)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
        assert "default-src 'self'" in page["Content-Security-Policy"]


def test_one_pool_is_chosen_for_all(post: Callable[..., Any], two: list[Schedule]) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    wanted = {**WANTED, "from_time": "2026-03-01 00:00", "count": "1", "pool_id": str(pool.pk)}
    assert "As each schedule" in words(post("", two, index="0"))

    post("run", two, **wanted, **marks(post("preview", two, **wanted)))

    assert set(Backfill.objects.values_list("pool", flat=True)) == {pool.pk}


def test_pools_are_read_once_for_all_schedules(
    post: Callable[..., Any], make_schedule: Callable[..., Schedule]
) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)
    schedules = [make_schedule(name=f"w{number}", pool=pool) for number in range(5)]

    with CaptureQueriesContext(connection) as queries:
        post("", schedules, index="0")

    assert len([query for query in queries if 'FROM "scheduler_pool"' in query["sql"]]) == 1
