"""What the tests of the REST door share."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from projects import apikeys
from projects.models import Scope
from scheduler.models import Attempt, Backfill, LogChunk, Schedule, Session, Skip, TaskRun

TABLES = (Attempt, Backfill, LogChunk, Schedule, Session, Skip, TaskRun)


class Api:
    """A client with a key; every answer is JSON, and `post` and `get` return status and document."""

    def __init__(self, key: str | None, **options: Any) -> None:
        self.client = Client(headers={"Authorization": f"TD1 {key}"} if key else {}, **options)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/{path}", query)

    def post(self, path: str, body: Any = None, *, content_type: str = "application/json", **options: Any) -> Any:
        """`body` is a JSON value, or bytes to be sent as they are."""
        return self.send("POST", path, body, content_type=content_type, **options)

    def put(self, path: str, body: Any = None) -> Any:
        return self.send("PUT", path, body)

    def send(self, method: str, path: str, body: Any, *, content_type: str = "application/json", **options: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic(method, f"/api/{path}", data, content_type=content_type, **options)

    def backfill(self, schedule: Schedule, **fields: Any) -> Any:
        """Three sessions of the hourly schedule unless told; a field that is `...` is left out."""
        body = {"attemptName": "again", "fromTime": "2026-03-02T10:00:00Z", "dryRun": False, **fields}
        return self.post(
            f"schedules/{schedule.pk}/backfill", {name: value for name, value in body.items() if value is not ...}
        )


@pytest.fixture(autouse=True)
def clock(now: datetime) -> Iterator[None]:
    """The clock stands at `now`. Files that need the real one have a fixture of this name of their own."""
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def make_api(now: datetime) -> Callable[..., Api]:
    """make_api(user, scopes=[Scope.READ]) is a client with a new key of `user`."""

    def make(user: User, *, scopes: Any = tuple(Scope), issued: datetime = now, **fields: Any) -> Api:
        return Api(apikeys.issue(user=user, name="test", now=issued, scopes=scopes, **fields)[1])

    return make


@pytest.fixture
def api(operator: User, make_api: Callable[..., Api]) -> Api:
    return make_api(operator)


@pytest.fixture
def nobody() -> Api:
    """A client without a key."""
    return Api(None)


@pytest.fixture
def counts(db: None) -> Callable[[], dict[str, int]]:
    """How many rows each table of the scheduler has."""
    return lambda: {model.__name__: model.objects.count() for model in TABLES}
