"""Running, enabling and disabling Celery's periodic tasks in the admin is for those who may change them."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from celery import Task
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import IntervalSchedule, PeriodicTask

LIST = reverse("admin:django_celery_beat_periodictask_changelist")
VIEW, CHANGE = "django_celery_beat.view_periodictask", "django_celery_beat.change_periodictask"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What is called in place of sending a task."""
    sender = Mock()
    monkeypatch.setattr(Task, "apply_async", sender)
    return sender


@pytest.fixture(params=[True, False], ids=["on", "off"])
def task(request: pytest.FixtureRequest, db: None) -> PeriodicTask:
    every = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.HOURS)
    return PeriodicTask.objects.create(name="t", task="tests.shop.tasks.total", interval=every, enabled=request.param)


@pytest.fixture
def enter_with(make_user: Callable[..., User], enter: Callable[[User], Client]) -> Callable[..., Client]:
    return lambda *permissions: enter(make_user("vera", *permissions, is_staff=True))


def act(client: Client, action: str, task: PeriodicTask) -> Any:
    return client.post(LIST, {"action": action, "_selected_action": task.pk})


@pytest.mark.parametrize("action", PeriodicTaskAdmin.actions)
def test_who_may_only_look_at_periodic_tasks_does_nothing_to_them(
    action: str, task: PeriodicTask, enter_with: Callable[..., Client], sent: Mock
) -> None:
    client, before = enter_with(VIEW), PeriodicTask.objects.values().get()

    act(client, action, task)

    assert PeriodicTask.objects.values().get() == before
    assert not sent.called
    assert action not in client.get(LIST).content.decode()


@pytest.mark.parametrize("action", PeriodicTaskAdmin.actions)
def test_who_may_change_periodic_tasks_runs_and_switches_them(
    action: str, task: PeriodicTask, enter_with: Callable[..., Client], sent: Mock
) -> None:
    client, before = enter_with(VIEW, CHANGE), task.enabled
    offered = f'value="{action}"' in client.get(LIST).content.decode()

    act(client, action, task)

    expected = {"enable_tasks": True, "disable_tasks": False, "toggle_tasks": not before}.get(action, before)
    assert offered
    assert PeriodicTask.objects.get().enabled is expected
    assert sent.called is (action == "run_tasks")
