"""The demo: a past to backfill, made once."""

import runpy
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command

from projects.models import Project
from scheduler.backfill import backfill
from scheduler.management import demo
from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule, Session, TaskRun, TaskState

pytestmark = pytest.mark.django_db

WEDNESDAY = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)


def rows() -> dict[str, int]:
    models = [model for app in ("projects", "scheduler") for model in apps.get_app_config(app).get_models()]
    return {model.__name__: model.objects.count() for model in models}


def statuses(workflow: str) -> set[str]:
    return set(Attempt.objects.filter(session__workflow__name=workflow).values_list("status", flat=True))


def test_the_second_time_makes_nothing_new() -> None:
    call_command("demo", stdout=StringIO())
    before = rows()
    output = StringIO()

    call_command("demo", stdout=output)

    assert rows() == before
    assert output.getvalue().count("\n") == 3
    assert before["Attempt"] > 500


def test_it_has_schedules_in_different_zones_whose_next_sessions_are_to_come() -> None:
    schedules = demo.make(now=WEDNESDAY)

    zones = {schedule.workflow.name: schedule.timezone for schedule in schedules}
    assert zones == {"daily_report": "Asia/Tokyo", "hourly_orders": "America/Los_Angeles", "pulse": "UTC"}
    for schedule in schedules:
        assert schedule.next_run_time is not None
        assert schedule.next_session_time is not None
        assert schedule.next_run_time >= WEDNESDAY
        last = schedule.timetable.previous(schedule.next_session_time)
        assert last is not None
        assert schedule.last_session_time == last.session_time


def test_the_hourly_past_is_partly_success_partly_error_and_partly_missing() -> None:
    demo.make(now=WEDNESDAY)

    hourly = Schedule.objects.get(workflow__name="hourly_orders")
    slots = {slot.session_time for slot in hourly.timetable.between(WEDNESDAY - demo.PAST, hourly.next_session_time)}
    there = set(hourly.workflow.sessions.values_list("session_time", flat=True))
    missing = [hourly.timetable.local(at) for at in sorted(slots - there)]
    assert statuses("hourly_orders") == {"success", "error"}
    assert len(missing) == 44
    assert missing[0].strftime("%a %Y-%m-%d %H:%M") == "Sat 2026-11-21 02:00"
    assert missing[-1].strftime("%a %Y-%m-%d %H:%M") == "Sun 2026-11-22 21:00"


@pytest.mark.parametrize("days", range(7))
def test_on_every_day_of_the_week_one_weekend_is_missing(days: int) -> None:
    demo.make(now=WEDNESDAY + timedelta(days=days))

    hourly = Schedule.objects.get(workflow__name="hourly_orders")
    slots = list(hourly.timetable.between(WEDNESDAY + timedelta(days=days) - demo.PAST, hourly.next_session_time))
    assert len(slots) - hourly.workflow.sessions.count() == 44


def test_a_failed_attempt_says_where_and_why() -> None:
    demo.make(now=WEDNESDAY)

    failed = Attempt.objects.filter(session__workflow__name="daily_report", status=AttemptStatus.ERROR).latest("pk")
    states = dict(failed.tasks.order_by("position").values_list("full_name", "state"))
    assert failed.reason == {"task": "+daily_report+totals", "message": "ZeroDivisionError: division by zero"}
    assert states["+daily_report"] == TaskState.GROUP_ERROR
    assert states["+daily_report+totals"] == TaskState.ERROR
    assert states["+daily_report+publish+notify"] == TaskState.BLOCKED
    assert "division by zero" in "".join(failed.log.values_list("text", flat=True))


def test_what_failed_was_mended_in_the_revision_that_runs_now(capsys: pytest.CaptureFixture[str]) -> None:
    broken = runpy.run_path(str(demo.FOLDER / "before_the_fix" / "report.py"))
    mended = runpy.run_path(str(demo.FOLDER / "project" / "report.py"))
    demo.make(now=WEDNESDAY)

    with pytest.raises(ZeroDivisionError):
        broken["totals"]()
    mended["totals"]()

    assert "music: no sales" in capsys.readouterr().out
    schedule = Schedule.objects.get(workflow__name="daily_report")
    failed = Attempt.objects.filter(session__workflow=schedule.workflow, status=AttemptStatus.ERROR)
    assert schedule.definition.revision.name == "r2"
    assert {attempt.definition.revision.name for attempt in failed.select_related("definition__revision")} == {"r1"}


def test_the_past_can_be_backfilled() -> None:
    schedules = {schedule.workflow.name: schedule for schedule in demo.make(now=WEDNESDAY)}

    plan = backfill(
        schedule_id=schedules["hourly_orders"].pk,
        attempt_name="mend",
        from_time=datetime(2026, 11, 21, 10, tzinfo=UTC),
        count=44,
        dry_run=False,
        now=WEDNESDAY,
    )

    assert len(plan.planned) == 44
    assert all(item.latest is None for item in plan.planned)


def test_attempts_tasks_and_logs_rise_with_time() -> None:
    demo.make(now=WEDNESDAY)

    released = list(Attempt.objects.order_by("pk").values_list("released_at", flat=True))
    assert released == sorted(released)
    assert all(at is not None and at <= WEDNESDAY for at in released)
    assert Session.objects.count() == Attempt.objects.count() == TaskRun.objects.filter(position=0).count()
    assert LogChunk.objects.count() > Attempt.objects.count()


def test_a_project_of_that_name_is_left_alone() -> None:
    Project.objects.create(name=demo.NAME, created_at=WEDNESDAY)

    assert demo.make(now=WEDNESDAY) == []
    assert not Session.objects.exists()
