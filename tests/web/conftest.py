"""A browser without a screen: clients signed in as people with and without rights."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduler.models import Attempt, Schedule


@pytest.fixture
def page(operator: User) -> Client:
    """Signed in as somebody who may backfill."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def onlooker(make_user: Callable[..., User]) -> Client:
    """Signed in as somebody who may look, and nothing else."""
    client = Client()
    client.force_login(make_user("onno"))
    return client


@pytest.fixture
def keeper(make_user: Callable[..., User]) -> Client:
    """Signed in as somebody who may switch schedules on and off."""
    client = Client()
    client.force_login(make_user("kim", "scheduler.change_schedule"))
    return client


@pytest.fixture
def make_past(make_attempt: Callable[..., Attempt], now: datetime) -> Callable[..., list[Attempt]]:
    """The last `count` hourly sessions before noon, oldest first, with one attempt each."""

    def make(schedule: Schedule, count: int, **fields: Any) -> list[Attempt]:
        return [make_attempt(schedule, now - timedelta(hours=hours), **fields) for hours in range(count - 1, -1, -1)]

    return make
