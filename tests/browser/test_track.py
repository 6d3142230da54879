"""A periodic task of Celery is tracked from the admin, and its past week is run again; in a real browser."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from playwright.sync_api import expect

from scheduler.models import Attempt, AttemptStatus, Schedule, Session, TaskRun

LIST = "/admin/django_celery_beat/periodictask/"
LONG = "n" * 180
RIGHT_TO_LEFT = "تقرير المبيعات اليومي"
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def root(make_user: Callable[..., User]) -> User:
    return make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def make_periodic(db: None) -> Callable[..., PeriodicTask]:
    """Daily, half a day from now, so that no session comes due meanwhile."""

    def make(name: str = "Nightly totals", **fields: Any) -> PeriodicTask:
        hour = (datetime.now(TOKYO) + timedelta(hours=12)).hour
        crontab = CrontabSchedule.objects.create(minute="0", hour=str(hour), timezone="Asia/Tokyo")
        return PeriodicTask.objects.create(
            **{
                "name": name,
                "task": "tests.shop.tasks.total",
                "args": "[20, 1]",
                "kwargs": '{"times": 2}',
                "crontab": crontab,
                **fields,
            }
        )

    return make


@pytest.mark.processes
def test_a_periodic_task_is_adopted_and_its_past_week_backfilled(
    visit: Callable[..., Any], root: User, make_periodic: Callable[..., PeriodicTask], live_worker: Any
) -> None:
    task = make_periodic(last_run_at=datetime.now(UTC) - timedelta(hours=12))
    visitor = visit(root)
    tab = visitor.open(LIST)

    tab.check(f'input[name="_selected_action"][value="{task.pk}"]')
    tab.select_option('select[name="action"]', label="Track with Hindcast…")
    tab.click("text=Go")
    expect(tab.locator(".hindcast-plan h2")).to_have_text("Nightly totals")
    expect(tab.locator(".hindcast-plan tbody tr")).to_have_count(3)
    expect(tab.locator("#id_switch_off")).not_to_be_checked()
    tab.check("#id_switch_off")
    tab.click("text=Track 1 periodic task")

    expect(tab.locator(".messagelist")).to_contain_text("1 periodic task is tracked: Nightly_totals (backfill).")
    expect(tab.locator(".messagelist")).to_contain_text("Was switched off in beat: Nightly totals.")
    task.refresh_from_db()
    assert not task.enabled
    tab.click(".messagelist >> text=backfill")
    tab.fill("#id_from_time", f"{datetime.now(UTC) - timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}")
    tab.fill("#id_attempt_name", "last-week")
    tab.click("text=Preview")
    expect(tab.locator("table.plan tbody tr")).to_have_count(7)
    tab.click("text=Run 7 sessions")

    expect(tab.locator(".sentence")).to_contain_text("7 of 7 done", timeout=60_000)
    expect(tab.locator(".grid .is-success")).to_have_count(7)
    assert set(Attempt.objects.values_list("status", "name")) == {(AttemptStatus.SUCCESS, "last-week")}
    assert Session.objects.filter(workflow=Schedule.objects.get().workflow).count() == 7
    results = TaskRun.objects.filter(store_params__celery__last_result__total=42)
    assert results.count() == 7
    assert visitor.complaints == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_pages_fit_the_screen(
    visit: Callable[..., Any], root: User, make_periodic: Callable[..., PeriodicTask], width: int, color_scheme: str
) -> None:
    interval = IntervalSchedule.objects.create(every=6, period="hours")
    make_periodic(args=f'["{LONG}"]', queue="reports", priority=3)
    make_periodic(LONG, description="Adds up what was sold.")
    make_periodic(RIGHT_TO_LEFT, crontab=None, interval=interval, enabled=False)
    make_periodic("Bad", kwargs="{")
    once = make_periodic("Once", one_off=True)
    visitor = visit(root, width=width, color_scheme=color_scheme)
    visitor.open(f"{LIST}{once.pk}/change/")
    tab = visitor.open(LIST)
    assert visitor.overflow() == 0

    tab.check("#action-toggle")
    tab.select_option('select[name="action"]', label="Track with Hindcast…")
    tab.click("text=Go")

    expect(tab.locator(".hindcast-plan")).to_have_count(4)  # three, and what cannot be tracked
    expect(tab.locator("text=Track 3 periodic tasks")).to_be_visible()
    for summary in tab.locator("summary").all():
        summary.click()
    assert visitor.overflow() == 0
    assert visitor.complaints == []
