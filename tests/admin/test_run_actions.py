"""Killing and retrying attempts, and deleting projects, in the admin: each asks once, then calls the verb."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects import secrets
from projects.models import Project
from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule

ATTEMPTS = "/admin/scheduler/attempt/"
PROJECTS = "/admin/projects/project/"


@pytest.fixture
def client(make_staff: Callable[..., User], enter: Callable[[User], Client]) -> Client:
    return enter(make_staff("rita", "scheduler.run_attempt", "projects.delete_project"))


def act(client: Client, url: str, action: str, *rows: int, **more: str) -> str:
    response = client.post(url, {"action": action, "_selected_action": rows, **more}, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_killing_asks_with_the_count_and_then_kills(
    client: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    queued = make_attempt(schedule, now, status=AttemptStatus.QUEUED)
    running = make_attempt(schedule, now - timedelta(hours=1), status=AttemptStatus.RUNNING)
    done = make_attempt(schedule, now - timedelta(hours=2))
    rows = [queued.pk, running.pk, done.pk]

    asked = act(client, ATTEMPTS, "kill", *rows)
    before = Attempt.objects.filter(status="killed").count()
    said = act(client, ATTEMPTS, "kill", *rows, confirmed="yes")

    assert 'value="yes">Kill 2 attempts</button>' in asked
    assert before == 0
    assert "2 of 2 attempts killed." in said
    assert [Attempt.objects.get(pk=pk).status for pk in rows] == ["killed", "canceling", "success"]


def test_failed_attempts_are_resumed(
    client: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    failed = make_attempt(schedule, now, status=AttemptStatus.ERROR)
    done = make_attempt(schedule, now - timedelta(hours=2))

    asked = act(client, ATTEMPTS, "retry_failed", failed.pk, done.pk)
    said = act(client, ATTEMPTS, "retry_failed", failed.pk, done.pk, confirmed="yes")

    retry = Attempt.objects.get(resumed_from=failed)
    assert 'value="yes">Retry 1 attempt</button>' in asked
    assert "1 of 1 attempt retried." in said
    assert (retry.session_id, retry.status, retry.name[:6]) == (failed.session_id, "queued", "retry-")


def test_an_attempts_page_offers_what_can_be_done(
    client: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    states = [AttemptStatus.RUNNING, AttemptStatus.ERROR, AttemptStatus.SUCCESS]
    made = [make_attempt(schedule, now - timedelta(hours=hour), status=state) for hour, state in enumerate(states)]

    offered = [
        [name for name, _ in client.get(f"{ATTEMPTS}{attempt.pk}/change/").context["row_actions"]] for attempt in made
    ]

    assert offered == [["kill"], ["retry_failed"], []]


def test_deleting_a_project_asks_with_what_it_ends(
    client: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    make_attempt(schedule, now, status=AttemptStatus.QUEUED)
    project = Project.objects.get()
    for key in ("a", "b"):
        secrets.put(project_id=project.pk, key=key, value="x", now=now)

    asked = act(client, PROJECTS, "delete_projects", project.pk)
    before = Project.objects.live().count()
    said = act(client, PROJECTS, "delete_projects", project.pk, confirmed="yes")

    assert "sales: 1 schedule, 2 secrets, 1 queued attempt, 0 running attempts" in asked
    assert "Their schedules and secrets are removed" in asked
    assert before == 1
    assert "1 project deleted." in said
    assert (Project.objects.live().count(), Attempt.objects.get().status) == (0, "killed")


def test_none_of_it_is_done_without_the_permission(
    make_staff: Callable[..., User],
    enter: Callable[[User], Client],
    schedule: Schedule,
    make_attempt: Callable[..., Attempt],
    now: datetime,
) -> None:
    client = enter(make_staff("sam"))
    queued = make_attempt(schedule, now, status=AttemptStatus.QUEUED)
    failed = make_attempt(schedule, now - timedelta(hours=1), status=AttemptStatus.ERROR)

    act(client, ATTEMPTS, "kill", queued.pk, confirmed="yes")
    act(client, ATTEMPTS, "retry_failed", failed.pk, confirmed="yes")
    act(client, PROJECTS, "delete_projects", Project.objects.get().pk, confirmed="yes")

    assert sorted(Attempt.objects.values_list("status", flat=True)) == ["error", "queued"]
    assert Project.objects.live().exists()


# --- backfills ----------------------------------------------------------------------------------------------

BACKFILLS = "/admin/scheduler/backfill/"


@pytest.fixture
def make_run(schedule: Schedule, now: datetime) -> Callable[..., Backfill]:
    """A backfill of three sessions; the first ones are in these states."""

    def make(name: str, hours: int, *states: AttemptStatus) -> Backfill:
        plan = backfill(
            schedule_id=schedule.pk,
            attempt_name=name,
            from_time=now - timedelta(hours=hours),
            count=3,
            dry_run=False,
            now=now,
        )
        assert plan.backfill
        for item, state in zip(plan.planned, states, strict=False):
            Attempt.objects.filter(pk=item.attempt_id).update(status=state, finished_at=now)
        return plan.backfill

    return make


def test_killing_backfills_asks_with_the_count_and_then_kills(
    client: Client, make_run: Callable[..., Backfill]
) -> None:
    rows = [
        make_run("first", 9, AttemptStatus.SUCCESS).pk,
        make_run("second", 6).pk,
        make_run("over", 3, *[AttemptStatus.SUCCESS] * 3).pk,
    ]

    asked = act(client, BACKFILLS, "kill", *rows)
    before = Attempt.objects.filter(status="killed").count()
    said = act(client, BACKFILLS, "kill", *rows, confirmed="yes")

    assert "<h1>Kill 2 backfills</h1>" in asked
    assert (
        "“first” of hourly_report: 2 attempts wait, and are killed at once. 1 attempt is done, and stays so." in asked
    )
    assert ">Kill 5 attempts</button>" in asked
    assert before == 0
    assert "5 attempts are being killed. No other starts." in said
    assert list(Attempt.objects.order_by("pk").values_list("status", flat=True)) == [
        *["success", "killed", "killed"],
        *["killed"] * 3,
        *["success"] * 3,
    ]
    assert "Nothing of the selected backfills waits or runs." in act(client, BACKFILLS, "kill", *rows)


def test_a_backfills_page_offers_what_can_be_done(
    make_staff: Callable[..., User], enter: Callable[[User], Client], make_run: Callable[..., Backfill]
) -> None:
    client = enter(make_staff("rolf", "scheduler.run_attempt", "scheduler.backfill_schedule"))
    made = [
        make_run("going", 9, AttemptStatus.ERROR),
        make_run("failed", 6, *[AttemptStatus.ERROR] * 3),
        make_run("over", 3, *[AttemptStatus.SUCCESS] * 3),
    ]

    offered = [[name for name, _ in client.get(f"{BACKFILLS}{row.pk}/change/").context["row_actions"]] for row in made]

    assert offered == [["kill"], ["retry_failed"], []]


def test_retrying_what_failed_is_asked_on_the_backfills_page(
    make_staff: Callable[..., User], enter: Callable[[User], Client], make_run: Callable[..., Backfill]
) -> None:
    client = enter(make_staff("rolf", "scheduler.backfill_schedule"))
    row = make_run("failed", 6, *[AttemptStatus.ERROR] * 3)

    asked = act(client, BACKFILLS, "retry_failed", row.pk)
    refused = act(client, BACKFILLS, "retry_failed", row.pk, make_run("other", 3).pk)

    assert ">Retry 3 sessions</button>" in asked
    assert "Select one backfill" in refused


def test_what_failed_of_a_backfill_without_a_schedule_is_not_offered_to_be_retried(
    make_staff: Callable[..., User], enter: Callable[[User], Client], make_run: Callable[..., Backfill]
) -> None:
    client = enter(make_staff("rolf", "scheduler.run_attempt", "scheduler.backfill_schedule"))
    row = make_run("failed", 6, *[AttemptStatus.ERROR] * 3)
    Schedule.objects.all().delete()

    offered = client.get(f"{BACKFILLS}{row.pk}/change/").context["row_actions"]
    said = act(client, BACKFILLS, "retry_failed", row.pk)

    assert offered == []
    assert "The schedule of the backfill “failed” is not there any more." in said


def test_backfills_are_not_killed_without_the_permission(
    make_staff: Callable[..., User], enter: Callable[[User], Client], make_run: Callable[..., Backfill]
) -> None:
    row = make_run("going", 3)

    act(enter(make_staff("sam")), BACKFILLS, "kill", row.pk, confirmed="yes")

    assert set(Attempt.objects.values_list("status", flat=True)) == {"queued"}
