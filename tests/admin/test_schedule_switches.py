"""Enabling, disabling and skipping schedules in the admin, and their pools, go through the verbs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from scheduler.models import Pool, Schedule, Skip

URL = "/admin/scheduler/schedule/"


@pytest.fixture(autouse=True)
def clock(now: datetime) -> Any:
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def client(make_staff: Callable[..., User], enter: Callable[[User], Client]) -> Client:
    return enter(make_staff("olaf", "scheduler.change_schedule"))


def switch(client: Client, action: str, *schedules: Schedule, **fields: str) -> str:
    rows = [schedule.pk for schedule in schedules]
    response = client.post(URL, {"action": action, "_selected_action": rows, **fields}, follow=True)
    return " ".join(str(message) for message in response.context["messages"])


def test_disabling_says_how_many_changed(client: Client, make_schedule: Callable[..., Schedule]) -> None:
    on = make_schedule(name="on")
    off = make_schedule(name="off", disabled_at=datetime(2026, 1, 1, tzinfo=UTC))

    said = switch(client, "disable", on, off)

    assert said == "1 of 2 schedules disabled. 1 was disabled before."
    assert not Schedule.objects.filter(disabled_at=None).exists()
    off.refresh_from_db()
    assert off.disabled_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def behind(make_schedule: Callable[..., Schedule]) -> list[Schedule]:
    """Two that were disabled at 09:30, with three and two sessions due since, and one that is enabled."""
    at = datetime.fromisoformat("2026-03-02T09:30:00Z")
    first = make_schedule(name="a", at=at, disabled_at=at)
    second = make_schedule(name="b", at=at + timedelta(hours=1), disabled_at=at)
    return [first, second, make_schedule(name="c")]


def test_enabling_asks_what_to_do_with_the_sessions_that_came_due(client: Client, behind: list[Schedule]) -> None:
    response = client.post(URL, {"action": "enable", "_selected_action": [schedule.pk for schedule in behind]})

    html = response.content.decode()
    assert "While disabled, 5 sessions came due." in html
    assert ("sales / a: 3 sessions" in html, "sales / b: 2 sessions" in html, "sales / c" in html) == (
        True,
        True,
        False,
    )
    assert 'value="run">Run 5 sessions</button>' in html
    assert 'value="skip">Skip 5 sessions</button>' in html
    assert Schedule.objects.filter(disabled_at=None).count() == 1


@pytest.mark.parametrize(
    ("choice", "said", "following", "skips"),
    [
        ("run", "2 of 3 schedules enabled. 1 was enabled before.", [10, 11, 13], 0),
        ("skip", "2 of 3 schedules enabled. 1 was enabled before. 3 sessions skipped.", [12, 12, 13], 3),
    ],
)
def test_they_are_run_or_skipped(
    client: Client, behind: list[Schedule], choice: str, said: str, following: list[int], skips: int
) -> None:
    told = switch(client, "enable", *behind, confirmed=choice)

    hours = [schedule.next_session_time.hour for schedule in Schedule.objects.order_by("pk")]
    assert (told, hours, Skip.objects.count()) == (said, following, skips)
    assert not Schedule.objects.filter(disabled_at__isnull=False).exists()


def test_enabling_says_how_many_changed(client: Client, make_schedule: Callable[..., Schedule]) -> None:
    off = [make_schedule(name=name, disabled_at=datetime(2026, 1, 1, tzinfo=UTC)) for name in ("a", "b")]

    said = switch(client, "enable", *off)

    assert said == "2 of 2 schedules enabled."
    assert Schedule.objects.filter(disabled_at=None).count() == 2


@pytest.mark.parametrize("action", ["enable", "disable", "skip", "pool"])
def test_switching_needs_the_right_to_change_schedules(
    action: str, schedule: Schedule, make_staff: Callable[..., User], enter: Callable[[User], Client]
) -> None:
    client = enter(make_staff("sam", "scheduler.backfill_schedule"))
    pool = Pool.objects.create(name="narrow", slots=1)
    before = Schedule.objects.values().get()

    switch(client, action, schedule, pool=str(pool.pk), confirmed="yes")

    assert Schedule.objects.values().get() == before


def test_the_right_to_change_schedules_does_not_open_their_fields(client: Client, schedule: Schedule) -> None:
    response = client.post(f"{URL}{schedule.pk}/change/", {"expression": "* * * * *", "next_run_time_0": "2020-01-01"})

    assert response.status_code == 403
    schedule.refresh_from_db()
    assert schedule.expression == "0 * * * *"


def test_a_schedules_page_offers_the_actions_that_make_sense(
    make_staff: Callable[..., User], enter: Callable[[User], Client], make_schedule: Callable[..., Schedule]
) -> None:
    client = enter(make_staff("olga", "scheduler.change_schedule", "scheduler.backfill_schedule"))
    on = make_schedule(name="on")
    off = make_schedule(name="off", disabled_at=datetime(2026, 1, 1, tzinfo=UTC))

    offered = [
        [name for name, _ in client.get(f"{URL}{schedule.pk}/change/").context["row_actions"]] for schedule in (on, off)
    ]

    assert offered == [["backfill", "skip", "disable"], ["backfill", "skip", "enable"]]


# --- skipping ----------------------------------------------------------------------------------------------


@pytest.fixture
def zones(make_schedule: Callable[..., Schedule]) -> list[Schedule]:
    """Two hourly schedules whose next session is 13:00 UTC."""
    return [make_schedule(name="a"), make_schedule(name="b", timezone="Asia/Tokyo")]


def ask(client: Client, action: str, schedules: list[Schedule], **fields: str) -> Any:
    return client.post(URL, {"action": action, "_selected_action": [row.pk for row in schedules], **fields})


def test_a_skip_asks_for_a_time_or_a_count(client: Client, schedule: Schedule) -> None:
    html = ask(client, "skip", [schedule]).content.decode()

    assert "<h1>Skip sessions of sales / hourly_report</h1>" in html
    assert 'name="next_time"' in html
    assert 'name="count"' in html
    assert "Preview</button>" in html


def test_a_skip_is_previewed_then_done(client: Client, zones: list[Schedule]) -> None:
    preview = ask(client, "skip", zones, count="3", confirmed="preview")
    html = preview.content.decode()
    before = Skip.objects.count()

    said = switch(client, "skip", *zones, count="3", confirmed="skip", **dict(preview.context["values"]))

    assert "sales / a: 3 sessions would be skipped: 2026-03-02 13:00 +00:00 to 2026-03-02 15:00 +00:00." in html
    assert "sales / b: 3 sessions would be skipped: 2026-03-02 22:00 +09:00 to 2026-03-03 00:00 +09:00." in html
    assert 'value="skip">Skip 6 sessions</button>' in html
    assert (before, Skip.objects.count(), said) == (0, 6, "6 sessions skipped.")
    assert {row.next_session_time.hour for row in Schedule.objects.all()} == {16}


def test_a_local_time_is_read_in_the_zone_of_each(client: Client, zones: list[Schedule]) -> None:
    html = ask(client, "skip", zones, next_time="2026-03-03 01:00", confirmed="preview").content.decode()

    assert "sales / a: 12 sessions would be skipped" in html
    assert "sales / b: 3 sessions would be skipped" in html


def test_what_was_not_previewed_is_not_skipped(client: Client, zones: list[Schedule]) -> None:
    shown = dict(ask(client, "skip", zones, count="3", confirmed="preview").context["values"])

    html = ask(client, "skip", zones, count="4", confirmed="skip", **shown).content.decode()

    assert "Skip 8 sessions</button>" in html
    assert not Skip.objects.exists()


def test_one_that_cannot_skip_keeps_the_others_from_it(client: Client, zones: list[Schedule]) -> None:
    Schedule.objects.filter(pk=zones[1].pk).update(next_session_time=None, next_run_time=None)

    html = ask(client, "skip", zones, count="3", confirmed="skip").content.decode()

    assert "sales / b: There is nothing to skip" in html
    assert "Nothing has changed. Correct the error below." in html
    assert not Skip.objects.exists()


@pytest.mark.parametrize("fields", [{}, {"next_time": "soon"}, {"count": "x"}, {"next_time": "2026-03-02 11:00"}])
def test_a_time_that_cannot_be_is_refused_beside_the_field(
    client: Client, schedule: Schedule, fields: dict[str, str]
) -> None:
    html = ask(client, "skip", [schedule], confirmed="skip", **fields).content.decode()

    assert 'class="errorlist"' in html
    assert "autofocus" in html
    assert not Skip.objects.exists()


# --- pools -------------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(db: None) -> Pool:
    return Pool.objects.create(name="narrow", slots=1)


def test_a_pool_is_asked_for_with_the_one_that_the_schedule_has(
    client: Client, make_schedule: Callable[..., Schedule], narrow: Pool
) -> None:
    schedule = make_schedule(name="a", pool=narrow)

    html = ask(client, "pool", [schedule]).content.decode()

    assert "<h1>Pool of sales / a</h1>" in html
    assert "sales / a: in narrow" in html
    assert f'<option value="{narrow.pk}" selected>narrow</option>' in html
    assert "Change the pool of 1 schedule</button>" in html


def test_a_pool_is_assigned_to_all_that_are_selected_and_taken_away_again(
    client: Client, make_schedule: Callable[..., Schedule], narrow: Pool
) -> None:
    before, after = make_schedule(name="a", pool=narrow), make_schedule(name="b")

    said = switch(client, "pool", before, after, pool=str(narrow.pk), confirmed="yes")
    pools = set(Schedule.objects.values_list("pool", flat=True))
    back = switch(client, "pool", before, after, pool="", confirmed="yes")

    assert (said, pools) == ("1 of 2 schedules runs in the pool narrow from now on. 1 did before.", {narrow.pk})
    assert back == "2 of 2 schedules run in no pool from now on."
    assert not Schedule.objects.filter(pool__isnull=False).exists()


def test_a_pool_that_is_gone_is_refused_beside_the_field(client: Client, schedule: Schedule, narrow: Pool) -> None:
    html = ask(client, "pool", [schedule], pool=str(narrow.pk + 1), confirmed="yes").content.decode()

    assert "There is no such pool any more." in html
    assert Schedule.objects.get().pool is None


def test_where_there_are_no_pools_none_is_asked_for(client: Client, schedule: Schedule) -> None:
    assert switch(client, "pool", schedule) == "There are no pools. Make one first, then choose it here."


def test_a_schedules_page_offers_a_pool_where_there_are_any(client: Client, schedule: Schedule, narrow: Pool) -> None:
    offered = client.get(f"{URL}{schedule.pk}/change/").context["row_actions"]

    assert [name for name, _ in offered] == ["skip", "pool", "disable"]
