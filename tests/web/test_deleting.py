"""Deleting a project in the browser."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects import secrets
from projects.models import Project
from scheduler.models import Attempt, AttemptStatus, Schedule

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def remover(make_user: Callable[..., User]) -> Client:
    client = Client()
    client.force_login(make_user("rolf", "projects.delete_project"))
    return client


def test_it_asks_once_and_says_what_ends(
    remover: Client, schedule: Schedule, make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    make_schedule(name="other")
    make_attempt(schedule, NOW, status=AttemptStatus.QUEUED)
    make_attempt(schedule, NOW.replace(hour=11), status=AttemptStatus.RUNNING)
    project = schedule.workflow.project
    secrets.put(project_id=project.pk, key="a", value="x", now=NOW)

    html = remover.get(f"/projects/{project.pk}/delete").content.decode()

    assert "Removes 2 schedules and 1 secret. Kills 1 queued attempt. Stops 1 running attempt." in html
    assert "does not come back" in html
    assert Project.objects.live().exists()


def test_it_deletes(remover: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.QUEUED)
    project = schedule.workflow.project

    html = remover.post(f"/projects/{project.pk}/delete", follow=True).content.decode()

    attempt.refresh_from_db()
    assert "The project “sales” is deleted." in html
    assert not Project.objects.live().exists()
    assert attempt.status == AttemptStatus.KILLED
    assert remover.post(f"/projects/{project.pk}/delete").status_code == 404


def test_it_takes_the_permission(onlooker: Client, schedule: Schedule) -> None:
    address = f"/projects/{schedule.workflow.project_id}/delete"

    assert onlooker.get(address).status_code == 403
    assert onlooker.post(address).status_code == 403
    assert Project.objects.live().exists()
