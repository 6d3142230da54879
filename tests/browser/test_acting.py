"""Skipping, enabling, killing and retrying in a real browser: keys, double clicks, the back button, an ended login."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule, Skip

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONG = "n" * 200
PERMISSIONS = ("scheduler.run_attempt", "scheduler.backfill_schedule", "scheduler.change_schedule")


@pytest.fixture
def mender(make_user: Callable[..., User]) -> User:
    """Somebody who may do everything on the pages."""
    return make_user("mia", *PERMISSIONS)


@pytest.fixture
def root(make_user: Callable[..., User]) -> User:
    return make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def yearly(make_schedule: Callable[..., Schedule]) -> Schedule:
    """Its next sessions are on the first days of 2126 and after, whenever the test runs."""
    return make_schedule("0 0 1 1 *", at=datetime(2125, 6, 1, tzinfo=UTC))


@pytest.fixture
def make_run(make_schedule: Callable[..., Schedule]) -> Callable[..., Backfill]:
    """make_run("success", "error", "queued"): a backfill with attempts in these states; no worker is there."""

    def make(*states: str, name: str = "again", workflow: str = "hourly_report") -> Backfill:
        schedule, from_time = make_schedule(name=workflow), NOW - timedelta(hours=len(states) - 1)
        plan = backfill(schedule_id=schedule.pk, attempt_name=name, from_time=from_time, dry_run=False, now=NOW)
        assert plan.backfill
        for item, state in zip(plan.planned, states, strict=True):
            done = state in ("success", "error", "killed")
            leased = NOW + timedelta(days=40_000) if state == "running" else None
            Attempt.objects.filter(pk=item.attempt_id).update(
                status=state, finished_at=NOW if done else None, lease_expires_at=leased, started_at=NOW
            )
        return plan.backfill

    return make


def states(row: Backfill) -> list[str]:
    return list(Attempt.objects.filter(backfill=row).order_by("pk").values_list("status", flat=True))


# --- on the pages -------------------------------------------------------------------------------------------


def test_a_backfill_is_killed_from_its_page_and_the_page_follows(
    visit: Callable[..., Any], mender: User, make_run: Callable[..., Backfill]
) -> None:
    row = make_run("success", "running", "queued", "queued")
    visitor = visit(mender)
    tab = visitor.open(f"/backfills/{row.pk}")

    tab.click("text=Kill 3 attempts")
    expect(tab.locator("main")).to_contain_text("2 attempts wait, and are killed at once.")
    tab.click("main button")

    expect(tab.locator(".messages")).to_contain_text("3 attempts are being killed. No other starts.")
    expect(tab.locator("#kill")).to_have_count(0)
    assert states(row) == ["success", "canceling", "killed", "killed"]
    Attempt.objects.filter(backfill=row, status=AttemptStatus.CANCELING).update(
        status=AttemptStatus.KILLED, finished_at=NOW, lease_expires_at=None
    )
    expect(tab.locator(".grid .is-killed")).to_have_count(3)
    expect(tab.locator("#retry")).to_have_text("Retry 3 sessions")
    assert visitor.complaints == []


def test_the_count_on_the_button_follows_what_is_done(
    visit: Callable[..., Any], mender: User, make_run: Callable[..., Backfill]
) -> None:
    row = make_run("queued", "queued", "queued")
    tab = visit(mender).open(f"/backfills/{row.pk}")
    expect(tab.locator("#kill")).to_have_text("Kill 3 attempts")

    first = Attempt.objects.filter(backfill=row).order_by("pk")[0]
    Attempt.objects.filter(pk=first.pk).update(status=AttemptStatus.SUCCESS, started_at=NOW, finished_at=NOW)

    expect(tab.locator("#kill")).to_have_text("Kill 2 attempts")


def test_a_double_click_retries_what_failed_once(
    visit: Callable[..., Any], mender: User, make_run: Callable[..., Backfill]
) -> None:
    row = make_run("success", "error", "killed")
    tab = visit(mender).open(f"/backfills/{row.pk}")

    tab.click("text=Retry 2 sessions")
    expect(tab.locator("table.plan tbody tr")).to_have_count(2)
    tab.fill("#id_name", "mend")
    tab.dblclick("text=Retry 2 sessions")

    expect(tab.locator("h1")).to_have_text("mend")
    expect(tab.locator(".sentence")).to_contain_text("0 of 2 done")
    assert Backfill.objects.count() == 2


def test_the_back_button_does_not_lead_to_a_question_that_is_settled(
    visit: Callable[..., Any], mender: User, make_run: Callable[..., Backfill]
) -> None:
    row = make_run("success", "queued")
    tab = visit(mender).open(f"/backfills/{row.pk}/kill")
    tab.click("main button")
    expect(tab.locator(".messages")).to_contain_text("1 attempt is being killed.")

    tab.go_back()

    expect(tab.locator(".messages")).to_contain_text("All of its attempts are done already.")
    expect(tab.locator(".sentence")).to_contain_text("2 of 2 done")


def test_a_skip_is_asked_for_with_the_keyboard_alone(visit: Callable[..., Any], mender: User, yearly: Schedule) -> None:
    visitor = visit(mender)
    tab = visitor.open(f"/schedules/{yearly.pk}/skip")
    press = tab.keyboard.press
    expect(tab.locator("#id_next_time")).to_be_focused()

    press("Tab")
    tab.keyboard.type("two")
    press("Enter")
    expect(tab.locator("#id_count_error")).to_contain_text("Write a whole number")
    expect(tab.locator("#id_count")).to_be_focused()
    press("Control+A")
    tab.keyboard.type("2")
    press("Enter")
    expect(tab.locator("#answer")).to_be_focused()
    expect(tab.locator("#answer")).to_contain_text("2 sessions would be skipped: 2126-01-01")
    for _ in range(3):
        press("Tab")
    expect(tab.locator("text=Skip 2 sessions")).to_be_focused()
    press("Enter")

    expect(tab.locator(".messages")).to_contain_text("2 sessions skipped.")
    yearly.refresh_from_db()
    assert (Skip.objects.count(), yearly.next_session_time.year) == (2, 2128)
    assert visitor.complaints == []


def test_a_login_that_ended_comes_back_to_what_was_asked(
    visit: Callable[..., Any], mender: User, make_schedule: Callable[..., Schedule]
) -> None:
    schedule = make_schedule(disabled_at=NOW, at=datetime.now(UTC) - timedelta(hours=3))
    tab = visit(mender).open(f"/schedules/{schedule.pk}")
    tab.context.clear_cookies(name="sessionid")

    tab.click("button:has-text('Enable')")
    expect(tab.locator("h1")).to_have_text("Sign in")
    sign_in(tab, mender)
    expect(tab.locator("main")).to_contain_text("sessions came due")
    tab.click(r"text=/^Skip \d+ sessions$/")

    expect(tab.locator(".messages")).to_contain_text(re.compile(r"Enabled\. \d sessions skipped\."))
    schedule.refresh_from_db()
    assert schedule.disabled_at is None


def sign_in(tab: Page, user: User) -> None:
    tab.fill("#id_username", user.username)
    tab.fill("#id_password", "correct horse")
    tab.click("main button")


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_that_asks_is_wider_than_the_screen(
    visit: Callable[..., Any], root: User, make_run: Callable[..., Backfill], width: int
) -> None:
    going = make_run("success", "running", "queued", name=LONG, workflow=LONG)
    failed = make_run("error", "error", name=LONG, workflow=f"x{LONG}")
    visitor = visit(root, width=width)

    wide = {}
    for address in (
        f"/backfills/{going.pk}",
        f"/backfills/{going.pk}/kill",
        f"/backfills/{failed.pk}",
        f"/backfills/{failed.pk}/retry",
        f"/schedules/{going.schedule_id}/skip",
        f"/schedules/{going.schedule_id}/disable",
    ):
        visitor.open(address)
        wide[address] = visitor.overflow()
    asking = (("backfill", going.pk, "Kill…", "Kill the"), ("schedule", going.schedule_id, "Skip to…", "Skip sessions"))
    for model, row, button, title in asking:
        tab = visitor.open(f"/admin/scheduler/{model}/{row}/change/")
        tab.click(f"text={button}")
        expect(tab.locator("#content > h1")).to_contain_text(title)
        tab.wait_for_load_state()
        wide[model] = visitor.overflow()

    assert {address: pixels for address, pixels in wide.items() if pixels > 0} == {}
    assert visitor.complaints == []


# --- in the admin -------------------------------------------------------------------------------------------


def choose(tab: Page, action: str) -> None:
    """All rows of the list, and the action."""
    tab.check("#action-toggle")
    tab.select_option("select[name=action]", label=action)
    tab.click("button[name=index]")


def test_the_admin_kills_a_backfill(visit: Callable[..., Any], root: User, make_run: Callable[..., Backfill]) -> None:
    row = make_run("success", "running", "queued")
    visitor = visit(root)
    tab = visitor.open("/admin/scheduler/backfill/")

    choose(tab, "Kill…")
    expect(tab.locator("#content > h1")).to_have_text("Kill the backfill “again”")
    tab.dblclick("text=Kill 2 attempts")

    expect(tab.locator(".messagelist")).to_contain_text("2 attempts are being killed.")
    assert states(row) == ["success", "canceling", "killed"]
    assert visitor.complaints == []


def test_the_admin_skips_after_a_preview(visit: Callable[..., Any], root: User, yearly: Schedule) -> None:
    visitor = visit(root)
    tab = visitor.open("/admin/scheduler/schedule/")

    choose(tab, "Skip to…")
    expect(tab.locator("#id_next_time")).to_be_focused()
    tab.keyboard.type("tomorrow")
    tab.keyboard.press("Enter")
    expect(tab.locator(".errorlist")).to_contain_text("Write a time such as")
    expect(tab.locator("#id_next_time")).to_be_focused()
    tab.fill("#id_next_time", "")
    tab.fill("#id_count", "2")
    tab.click("text=Preview")
    expect(tab.locator(".hindcast-selection")).to_contain_text("2 sessions would be skipped: 2126-01-01")
    tab.click("text=Skip 2 sessions")

    expect(tab.locator(".messagelist")).to_contain_text("2 sessions skipped.")
    yearly.refresh_from_db()
    assert (Skip.objects.count(), yearly.next_session_time.year) == (2, 2128)
    assert visitor.complaints == []


def test_the_admin_asks_what_to_do_with_what_came_due(
    visit: Callable[..., Any], root: User, make_schedule: Callable[..., Schedule]
) -> None:
    schedule = make_schedule("0 0 1 1 *", at=datetime(2023, 6, 1, tzinfo=UTC), disabled_at=NOW)
    tab = visit(root).open(f"/admin/scheduler/schedule/{schedule.pk}/change/")

    tab.click("button:has-text('Enable')")
    expect(tab.locator("#content-main")).to_contain_text("came due")
    tab.click(r"text=/^Skip \d+ sessions$/")

    expect(tab.locator(".messagelist")).to_contain_text("1 of 1 schedules enabled.")
    schedule.refresh_from_db()
    assert schedule.disabled_at is None
    assert schedule.next_session_time > datetime.now(UTC)
