"""Killing and retrying attempts, and deleting projects, in the admin: each asks once, then calls the verb."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects.models import Project
from scheduler.models import Attempt, AttemptStatus, Schedule

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

    asked = act(client, PROJECTS, "delete_projects", project.pk)
    before = Project.objects.live().count()
    said = act(client, PROJECTS, "delete_projects", project.pk, confirmed="yes")

    assert "sales: 1 schedule, 1 queued attempt, 0 running attempts" in asked
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
