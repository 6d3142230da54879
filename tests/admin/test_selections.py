"""An action takes so many rows in one go: what it asks about fits into one form, and more is refused beforehand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from projects.models import ApiKey, Project, Secret, Workflow
from scheduler.models import Pool, Schedule

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BEFORE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SCHEDULES, PROJECTS = "/admin/scheduler/schedule/", "/admin/projects/project/"
SECRETS, KEYS = "/admin/projects/secret/", "/admin/projects/apikey/"


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def copy(schedule: Schedule, count: int) -> None:
    """As many schedules as `count`, with that one."""
    project = schedule.workflow.project
    workflows = Workflow.objects.bulk_create(Workflow(project=project, name=f"w{n}") for n in range(count - 1))
    row = {**Schedule.objects.values().get(pk=schedule.pk), "id": None}
    Schedule.objects.bulk_create(Schedule(**{**row, "workflow_id": workflow.pk}) for workflow in workflows)


@pytest.fixture
def fill(schedule: Schedule, root: User) -> Callable[[str, int], type[Any]]:
    """`count` rows of the list at an address; the model that they are of."""

    def rows(url: str, count: int) -> type[Any]:
        if url == SCHEDULES:
            copy(schedule, count)
            return Schedule
        if url == PROJECTS:
            Project.objects.bulk_create(Project(name=f"p{n}", created_at=NOW) for n in range(count - 1))
            return Project
        if url == SECRETS:
            project = schedule.workflow.project
            Secret.objects.bulk_create(Secret(project=project, key=f"k{n}", updated_at=NOW) for n in range(count))
            return Secret
        keys = (ApiKey(user=root, name="k", prefix=n, digest=n, created_at=NOW, scopes=["read"]) for n in range(count))
        ApiKey.objects.bulk_create(keys)
        return ApiKey

    return rows


def act(client: Client, url: str, action: str, model: type[Any], **more: str) -> Any:
    first = model.objects.order_by("pk")[0].pk
    sent = {"action": action, "_selected_action": first, "select_across": "1", **more}
    return client.post(url, sent, follow=True)


@pytest.mark.parametrize(
    ("url", "action", "most", "answer", "said"),
    [
        (SCHEDULES, "enable", 500, "run", "Select at most 500 schedules."),
        (SCHEDULES, "disable", 500, "", "Select at most 500 schedules."),
        (SCHEDULES, "pool", 500, "yes", "Select at most 500 schedules."),
        (PROJECTS, "delete_projects", 50, "yes", "Select at most 50 projects."),
        (SECRETS, "delete_secrets", 500, "yes", "Select at most 500 secrets."),
        (KEYS, "revoke", 500, "yes", "Select at most 500 API keys."),
    ],
)
def test_more_than_the_most_is_refused_before_anything_is_done(
    url: str,
    action: str,
    most: int,
    answer: str,
    said: str,
    superuser_client: Client,
    fill: Callable[[str, int], type[Any]],
) -> None:
    model, pool = fill(url, most + 1), Pool.objects.create(name="warehouse", slots=1)
    if action == "enable":
        Schedule.objects.update(disabled_at=BEFORE)
    before = list(model.objects.order_by("pk").values())

    response = act(superuser_client, url, action, model, confirmed=answer, pool=str(pool.pk))

    assert [str(message) for message in response.context["messages"]] == [said]
    assert list(model.objects.order_by("pk").values()) == before


def test_the_question_about_as_many_schedules_as_can_be_enabled_is_answered_in_one_form(
    superuser_client: Client, fill: Callable[[str, int], type[Any]]
) -> None:
    model = fill(SCHEDULES, 500)
    Schedule.objects.update(disabled_at=BEFORE, next_session_time=BEFORE, next_run_time=BEFORE)

    html = act(superuser_client, SCHEDULES, "enable", model).content.decode()

    assert "Enable 500 schedules" in html
    assert html.count('type="hidden"') < settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
