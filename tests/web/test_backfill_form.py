import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from scheduler.models import Attempt, AttemptStatus, Backfill, Pool, Schedule, Session

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _at_noon() -> Any:
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        yield


@pytest.fixture
def preview(page: Client, schedule: Schedule) -> Callable[..., Any]:
    """Send the form; what is not told has a sensible value."""

    def send(**values: str) -> Any:
        data = {"from_time": "2026-03-02 10:00", "count": "", "attempt_name": "fix", "action": "preview", **values}
        return page.post(f"/schedules/{schedule.pk}/backfill", data)

    return send


@pytest.fixture
def confirm(page: Client, schedule: Schedule) -> Callable[..., Any]:
    """Press the button of a preview: send exactly what its form holds."""

    def send(previewed: Any) -> Any:
        asked = previewed.context["confirm"]
        data = {value.name: value.text for value in asked.values}
        return page.post(f"/schedules/{schedule.pk}/backfill", {**data, "action": "run"})

    return send


def written() -> tuple[int, int, int]:
    return Backfill.objects.count(), Session.objects.count(), Attempt.objects.count()


def test_the_form_opens_with_sensible_values(page: Client, schedule: Schedule) -> None:
    html = page.get(f"/schedules/{schedule.pk}/backfill").content.decode()

    assert 'value="2026-03-01 00:00"' in html
    assert 'value="backfill-2026-03-02-1201"' in html
    assert "Local time in UTC" in html


def test_a_link_fills_the_form_in(page: Client, schedule: Schedule) -> None:
    html = page.get(f"/schedules/{schedule.pk}/backfill?from=2026-03-02T10:00:00%2B00:00&count=1").content.decode()
    failed = page.get(f"/schedules/{schedule.pk}/backfill?to=2026-03-02T11:00:00%2B00:00&only=failed").content.decode()

    assert 'value="2026-03-02 10:00 +00:00"' in html
    assert 'name="count" value="1"' in html
    assert 'name="to_time" value="2026-03-02 11:00 +00:00"' in failed
    assert '<option value="failed" selected>' in failed


def test_the_preview_shows_the_plan_and_writes_nothing(preview: Callable[..., Any]) -> None:
    html = preview().content.decode()

    assert "3 sessions from 2026-03-02 10:00 +00:00 to 2026-03-02 12:00 +00:00" in html
    assert "Run 3 sessions" in html
    assert 'value="2026-03-02 10:00"' in html
    assert written() == (0, 0, 0)


def test_confirming_runs_what_was_previewed(
    preview: Callable[..., Any], confirm: Callable[..., Any], operator: User
) -> None:
    previewed = preview()

    answer = confirm(previewed)

    backfill = Backfill.objects.get()
    shown = [row.utc for row in previewed.context["plan"].rows]
    ran = [f"{time:%Y-%m-%d %H:%M} UTC" for time in backfill.attempts.values_list("session__session_time", flat=True)]
    assert answer["Location"] == f"/backfills/{backfill.pk}"
    assert ran == shown
    assert (backfill.name, backfill.sessions, backfill.created_by) == ("fix", 3, operator)


def test_count_limits_what_is_previewed_and_run(preview: Callable[..., Any], confirm: Callable[..., Any]) -> None:
    previewed = preview(count="2")

    confirm(previewed)

    assert previewed.context["confirm"].text == "Run 2 sessions"
    assert Attempt.objects.count() == 2


def test_what_failed_up_to_a_time_is_previewed_and_run_two_at_once(
    preview: Callable[..., Any],
    confirm: Callable[..., Any],
    schedule: Schedule,
    make_attempt: Callable[..., Attempt],
    page: Client,
) -> None:
    for hours, status in ((2, AttemptStatus.ERROR), (1, AttemptStatus.SUCCESS), (0, AttemptStatus.ERROR)):
        make_attempt(schedule, NOW - timedelta(hours=hours), status=status)

    previewed = preview(only="failed", to_time="2026-03-02 12:00", concurrency="2")
    address = confirm(previewed)["Location"]

    html = previewed.content.decode()
    assert "1 session, 2026-03-02 10:00 +00:00: 1 more attempt, 1 left out" in html
    assert "2 at once" in html
    backfill = Backfill.objects.get()
    assert (backfill.only, backfill.concurrency, backfill.sessions) == ("failed", 2, 1)
    assert backfill.to_time == NOW
    html = " ".join(page.get(address).content.decode().split())
    assert "(failed or killed)" in html
    assert "They run 2 at once." in html


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("to_time", "yesterday", "Write a time such as"),
        ("to_time", "2026-03-01", "not after the time to start from"),
        ("only", "some", "Select a valid choice"),
        ("concurrency", "many", "Write a whole number"),
        ("concurrency", "0", "give a number from 1 to 100"),
    ],
)
def test_a_wrong_choice_is_refused_beside_its_field(
    preview: Callable[..., Any], field: str, value: str, says: str
) -> None:
    answer = preview(**{field: value})

    assert says in str(answer.context["form"].errors[field])
    assert written() == (0, 0, 0)


def test_pressing_twice_runs_it_once_and_shows_the_one_there(
    preview: Callable[..., Any], confirm: Callable[..., Any]
) -> None:
    previewed = preview()
    confirm(previewed)

    again = confirm(previewed)

    html = again.content.decode()
    assert Attempt.objects.count() == 3
    assert "choose another name" in html
    assert f'href="/backfills/{Backfill.objects.get().pk}"' in html
    assert again.context["confirm"] is None


def test_a_plan_that_changed_since_the_preview_is_shown_again(
    preview: Callable[..., Any], confirm: Callable[..., Any], schedule: Schedule
) -> None:
    previewed = preview()
    Schedule.objects.update(next_session_time=NOW + timedelta(hours=2), next_run_time=NOW + timedelta(hours=2))

    again = confirm(previewed)

    assert written() == (0, 0, 0)
    assert "The schedule has moved on since the preview" in again.content.decode()
    assert again.context["confirm"].text == "Run 4 sessions"
    assert confirm(again)["Location"] == f"/backfills/{Backfill.objects.get().pk}"


def test_running_without_a_preview_is_asked_to_look_first(preview: Callable[..., Any]) -> None:
    answer = preview(action="run")

    assert "Look again" in answer.content.decode()
    assert written() == (0, 0, 0)


def test_a_dry_run_is_never_run(preview: Callable[..., Any]) -> None:
    previewed = preview(dry_run="on")
    forced = preview(dry_run="on", action="run", plan=previewed.context["plan"].fingerprint)

    for answer in (previewed, forced):
        assert "This is a dry run" in answer.content.decode()
        assert answer.context["confirm"] is None
    assert written() == (0, 0, 0)


def test_conflicts_are_listed_and_cannot_be_confirmed(
    preview: Callable[..., Any], schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    running = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)

    html = preview().content.decode()

    assert "1 of 3 sessions cannot run as asked." in html
    assert f"attempt {running.pk} is running" in html
    assert html.index(f"attempt {running.pk} is running") < html.index("2026-03-02 11:00 UTC")
    assert 'value="run"' not in html
    assert 'value="2026-03-02 10:00"' in html


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"from_time": ""}, "from_time", "Give the time to start from."),
        ({"from_time": "soon"}, "from_time", "Write a time such as"),
        ({"from_time": "2026-03-02T10:00+99:00"}, "from_time", "not on the calendar"),
        ({"attempt_name": ""}, "attempt_name", "Give the attempts a name."),
        ({"attempt_name": "   "}, "attempt_name", "Give the attempts a name."),
        ({"attempt_name": "x" * 256}, "attempt_name", "The name has 256 characters; 255 is the most."),
        ({"attempt_name": "a\u0007b"}, "attempt_name", "control character"),
        ({"attempt_name": "a\x00b"}, "attempt_name", "Null characters"),
        ({"count": "0"}, "count", "1 is the least"),
        ({"count": "-4"}, "count", "1 is the least"),
        ({"count": "two"}, "count", "Write a whole number"),
        ({"count": "4"}, "count", "there are only 3 sessions"),
        ({"count": "99999999999999999999"}, "count", "10000 sessions at the most"),
        ({"from_time": "2020-01-01"}, "from_time", "more than 10000 sessions"),
    ],
)
@pytest.mark.parametrize("action", ["preview", "run"])
def test_a_refusal_stands_beside_its_field_keeps_the_values_and_writes_nothing(
    preview: Callable[..., Any], values: dict[str, str], field: str, text: str, action: str
) -> None:
    answer = preview(**values, action=action)

    html = answer.content.decode()
    beside = re.search(rf'id="id_{field}_error">(.*?)</p>', html)
    focused = re.search(r"<input[^>]*autofocus[^>]*>", html)
    assert answer.status_code == 200
    assert beside
    assert text in beside[1]
    assert focused
    assert f'name="{field}"' in focused[0]
    assert [value in answer.context["form"][name].value() for name, value in values.items()] == [True]
    assert written() == (0, 0, 0)


def test_nothing_to_run_is_said_and_not_offered(preview: Callable[..., Any]) -> None:
    answer = preview(from_time="2026-03-02 12:30")

    assert "There is nothing to run." in answer.content.decode()
    assert answer.context["confirm"] is None


def test_ten_thousand_slots_make_a_light_page(make_schedule: Callable[..., Schedule], page: Client) -> None:
    schedule = make_schedule("* * * * *", name="minutely")

    answer = page.post(
        f"/schedules/{schedule.pk}/backfill",
        {"from_time": "2026-02-23 13:21", "attempt_name": "fix", "action": "preview"},
    )

    assert "Run 10,000 sessions" in answer.content.decode()
    assert "9,800 more not shown." in answer.content.decode()
    assert len(answer.content) < 100_000


def test_a_preview_takes_the_same_queries_however_many_slots(
    page: Client, schedule: Schedule, preview: Callable[..., Any], django_assert_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_num_queries(13):
        preview()
    with django_assert_num_queries(13):
        preview(from_time="2026-01-01")


def test_a_disabled_schedule_can_be_backfilled(
    preview: Callable[..., Any], confirm: Callable[..., Any], schedule: Schedule
) -> None:
    Schedule.objects.update(disabled_at=NOW)

    confirm(preview())

    assert Attempt.objects.count() == 3


def test_the_form_takes_the_permission(onlooker: Client, schedule: Schedule) -> None:
    data = {"from_time": "2026-03-02", "attempt_name": "fix", "action": "run"}

    shown = onlooker.get(f"/schedules/{schedule.pk}/backfill")
    sent = onlooker.post(f"/schedules/{schedule.pk}/backfill", data)

    assert (shown.status_code, sent.status_code) == (403, 403)
    assert "Can backfill schedules" in shown.content.decode()
    assert written() == (0, 0, 0)


def test_local_times_are_read_in_the_zone_of_the_schedule(make_schedule: Callable[..., Schedule], page: Client) -> None:
    schedule = make_schedule(timezone="Asia/Tokyo", name="tokyo")

    answer = page.post(
        f"/schedules/{schedule.pk}/backfill",
        {"from_time": "2026-03-02 20:00", "attempt_name": "fix", "action": "preview"},
    )

    assert [row.utc for row in answer.context["plan"].rows] == ["2026-03-02 11:00 UTC", "2026-03-02 12:00 UTC"]


def test_a_pool_is_asked_for_where_there_are_any(
    page: Client, schedule: Schedule, preview: Callable[..., Any], confirm: Callable[..., Any]
) -> None:
    assert "Pool" not in page.get(f"/schedules/{schedule.pk}/backfill").content.decode()
    pool = Pool.objects.create(name="narrow", slots=1)
    assert "As the schedule: none" in page.get(f"/schedules/{schedule.pk}/backfill").content.decode()

    confirm(preview(pool_id=str(pool.pk)))

    assert Backfill.objects.get().pool == pool


def test_a_pool_that_is_gone_is_told_at_its_field(preview: Callable[..., Any]) -> None:
    Pool.objects.create(name="narrow", slots=1)

    assert "There is no such pool any more." in preview(pool_id="99").content.decode()
