from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Backfill, LogChunk, Schedule, TaskRun, TaskState

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONG = "n" * 200
RIGHT_TO_LEFT = "تقرير المبيعات اليومي"


@pytest.mark.processes
def test_a_person_backfills_from_sign_in_to_success(
    visit: Callable[..., Any], operator: User, schedule: Schedule, live_worker: Any
) -> None:
    visitor = visit(None)
    tab = visitor.open("/")
    tab.fill("#id_username", operator.username)
    tab.fill("#id_password", "correct horse")
    tab.click("main button")

    tab.click("text=hourly_report")
    tab.click("main >> text=Backfill >> nth=0")
    tab.fill("#id_from_time", "2026-03-02 10:00")
    tab.fill("#id_attempt_name", "fix")
    tab.click("text=Preview")
    expect(tab.locator("table.plan tbody tr")).to_have_count(3)
    tab.click("text=Run 3 sessions")

    expect(tab.locator(".sentence")).to_contain_text("3 of 3 done", timeout=30_000)
    expect(tab.locator(".grid .is-success")).to_have_count(3)
    expect(tab.locator("#live[hx-get]")).to_have_count(0)
    tab.click(".grid a >> nth=0")
    expect(tab.locator(".sentence")).to_contain_text("success")
    expect(tab.locator("#log")).to_contain_text("hello 2026-03-02T10:00:00+00:00")
    assert set(Attempt.objects.values_list("status", flat=True)) == {AttemptStatus.SUCCESS}
    assert visitor.complaints == []


def test_the_form_works_with_the_keyboard_alone(visit: Callable[..., Any], operator: User, schedule: Schedule) -> None:
    visitor = visit(operator)
    tab = visitor.open(f"/schedules/{schedule.pk}/backfill")
    press = tab.keyboard.press
    expect(tab.locator("#id_from_time")).to_be_focused()

    press("Control+A")
    tab.keyboard.type("2026-03-02 11:00")
    press("Tab")
    expect(tab.locator("#id_to_time")).to_be_focused()
    press("Tab")
    expect(tab.locator("#id_count")).to_be_focused()
    tab.keyboard.type("5")
    press("Enter")
    expect(tab.locator("#id_count_error")).to_contain_text("there are only 2 sessions")
    expect(tab.locator("#id_count")).to_be_focused()
    press("Control+A")
    press("Delete")
    expect(tab.locator("#id_count")).to_have_value("")
    press("Enter")
    expect(tab.locator("#preview")).to_be_focused()
    press("Tab")
    expect(tab.locator("text=Run 2 sessions")).to_be_focused()
    press("Enter")

    expect(tab.locator(".sentence")).to_contain_text("0 of 2 done")
    assert Backfill.objects.get().sessions == 2


def test_the_keyboard_reaches_the_content_and_the_search(
    visit: Callable[..., Any], operator: User, schedule: Schedule
) -> None:
    tab = visit(operator).open("/")

    tab.keyboard.press("Tab")
    expect(tab.locator(".skip")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.locator("#content")).to_be_focused()
    tab.keyboard.press("/")
    expect(tab.locator("#search")).to_be_focused()
    tab.keyboard.type("hourly")
    tab.keyboard.press("Enter")

    expect(tab.locator("tbody tr")).to_have_count(1)


@pytest.fixture
def addresses(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], make_user: Callable[..., User]
) -> list[str]:
    """Every kind of page, with long and right-to-left names, failures and a log."""
    schedules = [
        make_schedule(
            name=LONG, project=LONG, timezone="America/Argentina/ComodRivadavia", error="e" * 300, failures=1
        ),
        make_schedule(name=RIGHT_TO_LEFT, project="عربي", timezone="Asia/Riyadh"),
    ]
    found = ["/", "/?q=nothing", "/attempts", "/backfills", "/nowhere"]
    for schedule in schedules:
        reason = {"message": f"disk full {LONG}", "task": f"+{LONG}", "exit_code": 1}
        attempts = [
            make_attempt(schedule, NOW - timedelta(hours=2), status=AttemptStatus.ERROR, reason=reason, name=LONG),
            make_attempt(schedule, NOW - timedelta(hours=4), status=AttemptStatus.RUNNING, params={LONG: LONG}),
        ]
        for attempt in attempts:
            TaskRun.objects.create(
                attempt=attempt, position=1, full_name=f"+{LONG}", state=TaskState.RUNNING, updated_at=NOW
            )
            LogChunk.objects.create(attempt=attempt, position=1, text=f"{LONG * 3}\nend\n", written_at=NOW)
        plan = backfill(schedule_id=schedule.pk, attempt_name=LONG[1:], from_time=NOW, dry_run=False, now=NOW)
        assert plan.backfill
        found += [f"/schedules/{schedule.pk}", f"/schedules/{schedule.pk}/backfill", f"/backfills/{plan.backfill.pk}"]
        found += [f"/sessions/{attempts[0].session_id}", *(f"/attempts/{attempt.pk}" for attempt in attempts)]
    return found


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_no_page_is_wider_than_the_screen_or_makes_the_browser_complain(
    visit: Callable[..., Any], operator: User, addresses: list[str], width: int
) -> None:
    visitor = visit(operator, width=width)

    wide = {}
    for address in addresses:
        visitor.open(address)
        wide[address] = visitor.overflow()

    assert {address: pixels for address, pixels in wide.items() if pixels > 0} == {}
    assert [text for text in visitor.complaints if "404 (Not Found)" not in text] == []


def test_a_preview_with_conflicts_fits_a_phone(
    visit: Callable[..., Any], operator: User, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)
    visitor = visit(operator, width=390)
    tab = visitor.open(f"/schedules/{schedule.pk}/backfill")

    tab.fill("#id_from_time", "2026-02-01")
    tab.fill("#id_attempt_name", LONG)
    tab.click("text=Preview")

    expect(tab.locator(".problem")).to_contain_text("cannot run as asked")
    expect(tab.locator("tr.conflict")).to_have_count(1)
    assert visitor.overflow() <= 0
    assert visitor.complaints == []


def test_the_theme_follows_the_system_until_somebody_chooses(
    visit: Callable[..., Any], operator: User, schedule: Schedule
) -> None:
    tab = visit(operator, color_scheme="dark").open("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(ground) == "rgb(16, 19, 23)"

    tab.click("summary")
    tab.select_option("#theme", "light")
    assert tab.evaluate(ground) == "rgb(255, 255, 255)"
    tab.reload()

    assert tab.evaluate(ground) == "rgb(255, 255, 255)"


def test_an_attempt_is_followed_until_it_is_done(
    visit: Callable[..., Any], operator: User, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)
    LogChunk.objects.create(attempt=attempt, position=1, text="first\nsec", written_at=NOW)
    visitor = visit(operator)
    tab = visitor.open(f"/attempts/{attempt.pk}")
    expect(tab.locator("#log li")).to_have_count(1)

    LogChunk.objects.create(attempt=attempt, position=1, text="ond\nthird", written_at=NOW)
    expect(tab.locator("#log li")).to_have_count(2)
    Attempt.objects.filter(pk=attempt.pk).update(
        status=AttemptStatus.SUCCESS, finished_at=datetime.now(UTC), lease_expires_at=None
    )

    expect(tab.locator("#log li")).to_have_count(3)
    expect(tab.locator("#log")).to_contain_text("second")
    expect(tab.locator(".sentence")).to_contain_text("success")
    expect(tab.locator("[hx-get]")).to_have_count(0)
    assert visitor.complaints == []


def test_a_log_follows_its_end_until_somebody_scrolls(
    visit: Callable[..., Any], operator: User, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)
    lines = "".join(f"line {number}\n" for number in range(200))
    LogChunk.objects.create(attempt=attempt, position=1, text=lines, written_at=NOW)
    tab = visit(operator).open(f"/attempts/{attempt.pk}")
    box = tab.locator(".log")
    from_end = "box => box.scrollHeight - box.scrollTop - box.clientHeight"
    assert box.evaluate(from_end) < 24

    LogChunk.objects.create(attempt=attempt, position=1, text=lines, written_at=NOW)
    expect(tab.locator("#log li")).to_have_count(400)
    assert box.evaluate(from_end) < 24

    box.evaluate("box => { box.scrollTop = 0; }")
    LogChunk.objects.create(attempt=attempt, position=1, text=lines, written_at=NOW)
    expect(tab.locator("#log li")).to_have_count(600)
    assert box.evaluate("box => box.scrollTop") == 0
