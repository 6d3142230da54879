"""Skipping and enabling from the page of a schedule."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.test import Client

from scheduler.models import CatchUp, Schedule, Skip


@pytest.fixture(autouse=True)
def clock(now: datetime) -> Any:
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def behind(make_schedule: Callable[..., Schedule]) -> Schedule:
    at = datetime.fromisoformat("2026-03-02T09:30:00Z")
    return make_schedule(at=at, disabled_at=at)


def send(client: Client, schedule: Schedule, verb: str, **fields: str) -> str:
    return client.post(f"/schedules/{schedule.pk}/{verb}", fields, follow=True).content.decode()


def test_enabling_asks_what_to_do_with_the_sessions_that_came_due(keeper: Client, behind: Schedule) -> None:
    html = send(keeper, behind, "enable")

    behind.refresh_from_db()
    assert "3 sessions came due" in html
    assert behind.disabled_at is not None


@pytest.mark.parametrize(("choice", "following", "skips"), [("run", 10, 0), ("skip", 12, 2)])
def test_they_are_run_or_skipped(keeper: Client, behind: Schedule, choice: str, following: int, skips: int) -> None:
    send(keeper, behind, "enable", choice=choice)

    behind.refresh_from_db()
    assert (behind.disabled_at, behind.next_session_time.hour, Skip.objects.count()) == (None, following, skips)


def test_what_somebody_else_chose_for_them_stands(keeper: Client, behind: Schedule) -> None:
    send(keeper, behind, "enable", choice="run")

    html = send(keeper, behind, "enable", choice="skip")

    behind.refresh_from_db()
    assert "It was enabled already." in html
    assert (behind.next_session_time.hour, Skip.objects.count()) == (10, 0)


def test_where_rules_decide_what_is_late_they_are_named(keeper: Client, behind: Schedule) -> None:
    Schedule.objects.update(catch_up=CatchUp.LATEST)

    html = send(keeper, behind, "enable")

    assert "the latest alone runs" in html
    assert "Enable by the rules" in html
    assert "Run 3 sessions" not in html


@pytest.mark.parametrize(("disabled", "verb"), [(True, "enable"), (False, "disable")])
def test_who_had_to_sign_in_again_is_asked_and_finds_the_button(
    keeper: Client, behind: Schedule, disabled: bool, verb: str
) -> None:
    if not disabled:
        Schedule.objects.update(disabled_at=None)
    keeper.logout()
    address = f"/schedules/{behind.pk}/{verb}"

    signing_in = keeper.post(address, follow=True)
    html = keeper.post(
        signing_in.request["PATH_INFO"] + "?" + signing_in.request["QUERY_STRING"],
        {"username": "kim", "password": "correct horse", "next": address},
        follow=True,
    ).content.decode()

    behind.refresh_from_db()
    assert f'action="{address}"' in html
    assert bool(behind.disabled_at) == disabled


def test_a_skip_is_previewed_then_done(keeper: Client, schedule: Schedule) -> None:
    response = keeper.post(f"/schedules/{schedule.pk}/skip", {"next_time": "2026-03-02 16:00"})
    seen = response.context["form"]["seen"].value()
    before = Skip.objects.count()

    html = send(keeper, schedule, "skip", next_time="2026-03-02 16:00", seen=seen, choice="skip")

    schedule.refresh_from_db()
    assert "3 sessions would be skipped" in response.content.decode()
    assert (before, Skip.objects.count(), schedule.next_session_time.hour) == (0, 3, 16)
    assert "3 sessions skipped" in html


def test_what_was_not_previewed_is_not_skipped(keeper: Client, schedule: Schedule) -> None:
    html = send(keeper, schedule, "skip", next_time="2026-03-02 17:00", seen="3 before then", choice="skip")

    assert "4 sessions would be skipped" in html
    assert not Skip.objects.exists()


def test_a_number_of_sessions_is_skipped(keeper: Client, schedule: Schedule) -> None:
    response = keeper.post(f"/schedules/{schedule.pk}/skip", {"count": "2"})
    seen = response.context["form"]["seen"].value()

    send(keeper, schedule, "skip", count="2", seen=seen, choice="skip")

    schedule.refresh_from_db()
    html = response.content.decode()
    assert "2 sessions would be skipped: 2026-03-02 13:00 +00:00 to 2026-03-02 14:00 +00:00." in html
    assert (Skip.objects.count(), schedule.next_session_time.hour) == (2, 15)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"count": "0"}, "Give a count from 1 to 10,000."),
        ({"count": "10001"}, "Give a count from 1 to 10,000."),
        ({"count": "two"}, "Write a whole number"),
        ({"count": "2", "next_time": "2026-03-02 16:00"}, "not both"),
    ],
)
def test_a_count_that_cannot_be_is_refused(
    keeper: Client, schedule: Schedule, fields: dict[str, str], text: str
) -> None:
    html = send(keeper, schedule, "skip", choice="skip", **fields)

    assert text in html
    assert not Skip.objects.exists()


def test_a_refusal_names_where_the_schedule_stands(keeper: Client, schedule: Schedule) -> None:
    asked = keeper.get(f"/schedules/{schedule.pk}/skip").content.decode()
    refused = send(keeper, schedule, "skip", next_time="2026-03-02 11:00")

    assert "The next session is 2026-03-02 13:00 +00:00." in asked
    assert "is not before that time. The next session is 2026-03-02 13:00 +00:00." in refused


def test_a_timetable_that_cannot_be_read_is_said(keeper: Client, schedule: Schedule) -> None:
    Schedule.objects.update(expression="61 * * * *")

    html = send(keeper, schedule, "skip", count="2")

    assert "The timetable of this schedule cannot be read" in html


@pytest.mark.parametrize("time", ["", "soon", "2026-03-02 11:00", "2036-03-02 11:00"])
def test_a_time_that_cannot_be_is_refused_beside_the_field(keeper: Client, schedule: Schedule, time: str) -> None:
    html = send(keeper, schedule, "skip", next_time=time, choice="skip")

    assert 'class="wrong-text"' in html
    assert not Skip.objects.exists()


def test_it_needs_the_permission(onlooker: Client, schedule: Schedule) -> None:
    assert onlooker.get(f"/schedules/{schedule.pk}/skip").status_code == 403
    assert f"/schedules/{schedule.pk}/skip" not in onlooker.get(f"/schedules/{schedule.pk}").content.decode()
