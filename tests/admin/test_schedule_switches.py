"""Enabling and disabling schedules in the admin goes through the verbs."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduler.models import Schedule

URL = "/admin/scheduler/schedule/"


@pytest.fixture
def client(make_staff: Callable[..., User], enter: Callable[[User], Client]) -> Client:
    return enter(make_staff("olaf", "scheduler.change_schedule"))


def switch(client: Client, action: str, *schedules: Schedule) -> str:
    response = client.post(
        URL, {"action": action, "_selected_action": [schedule.pk for schedule in schedules]}, follow=True
    )
    return " ".join(str(message) for message in response.context["messages"])


def test_disabling_says_how_many_changed(client: Client, make_schedule: Callable[..., Schedule]) -> None:
    on = make_schedule(name="on")
    off = make_schedule(name="off", disabled_at=datetime(2026, 1, 1, tzinfo=UTC))

    said = switch(client, "disable", on, off)

    assert said == "1 of 2 schedules disabled. 1 was disabled before."
    assert not Schedule.objects.filter(disabled_at=None).exists()
    off.refresh_from_db()
    assert off.disabled_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_enabling_says_how_many_changed(client: Client, make_schedule: Callable[..., Schedule]) -> None:
    off = [make_schedule(name=name, disabled_at=datetime(2026, 1, 1, tzinfo=UTC)) for name in ("a", "b")]

    said = switch(client, "enable", *off)

    assert said == "2 of 2 schedules enabled."
    assert Schedule.objects.filter(disabled_at=None).count() == 2


@pytest.mark.parametrize("action", ["enable", "disable"])
def test_switching_needs_the_right_to_change_schedules(
    action: str, schedule: Schedule, make_staff: Callable[..., User], enter: Callable[[User], Client]
) -> None:
    client = enter(make_staff("sam", "scheduler.backfill_schedule"))
    before = Schedule.objects.values().get()

    switch(client, action, schedule)

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

    assert offered == [["backfill", "disable"], ["backfill", "enable"]]
