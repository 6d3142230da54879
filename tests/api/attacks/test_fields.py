"""Fields that nobody may set, names that mean a path, times that never come, and JSON that is none."""

import json
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from io import RawIOBase
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.test.client import ClientHandler

from projects import apikeys
from scheduler.models import Attempt, Backfill, Schedule, Session
from tests.api.attacks.world import WHEN, Address, Owned, addresses

Untouched = Callable[[], AbstractContextManager[None]]
Quickly = Callable[[], AbstractContextManager[None]]

TAKING = {
    "api-schedule-backfill": "POST",
    "api-schedule-skip": "POST",
    "api-schedule-enable": "POST",
    "api-project-secret": "PUT",
    "api-attempt-list": "PUT",
    "api-backfill-retry": "POST",
}
DOORS = [address for address in addresses("/api/") if address.name in TAKING]
NOT_YOURS = {
    "id": "1",
    "pk": 1,
    "status": "success",
    "done": True,
    "success": True,
    "lease_token": 99,
    "leaseToken": 99,
    "deliveries": 0,
    "lane": "scheduled",
    "project": {"id": "1"},
    "project_id": 1,
    "workflow": {"id": "1"},
    "created_by": 1,
    "createdBy": "root",
    "requested_by": 1,
    "is_staff": True,
    "is_superuser": True,
    "index": 7,
    "sessionUuid": "2b91a014-076e-4c6d-8b51-f4f91089cab2",
    "released_at": WHEN,
    "__proto__": {"x": 1},
}


def named(address: Address) -> str:
    return address.pattern


def send(client: Client, address: Address, owned: Owned, body: bytes) -> Any:
    path = address.filled(owned.of_api(address.pattern))
    return client.generic(TAKING[address.name], path, body, content_type="application/json")


def test_every_door_that_takes_json_is_tried_here() -> None:
    writing = {address.name for address in addresses("/api/") if {"POST", "PUT"} & address.methods}
    without_json = {"api-schedule-disable", "api-attempt-kill", "api-backfill-kill", "api-project-list"}

    assert writing - without_json - {"api-schema", "api-docs"} == set(TAKING)


# --- fields ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", addresses("/api/"), ids=named)
def test_nothing_is_changed_field_by_field(
    visitor: Client, mine: Owned, untouched: Untouched, address: Address
) -> None:
    path = address.filled(mine.of_api(address.pattern))

    with untouched():
        answer = visitor.generic("PATCH", path, json.dumps(NOT_YOURS).encode(), content_type="application/json")

    assert answer.status_code == 405


def test_fields_that_are_not_the_callers_are_not_taken(visitor: Client, schedule: Schedule) -> None:
    """They are passed over, as Digdag does: a client of tomorrow may send more than we know."""
    body = NOT_YOURS | {"attemptName": "x", "fromTime": WHEN, "dryRun": False}

    answer = visitor.post(f"/api/schedules/{schedule.pk}/backfill", body, "application/json")
    start = NOT_YOURS | {"workflowId": schedule.definition_id, "sessionTime": "2026-01-01T00:00:00Z"}
    started = visitor.put("/api/attempts", start, "application/json")

    assert (answer.status_code, started.status_code) == (200, 200)
    assert Attempt.objects.count() == 4
    for attempt in Attempt.objects.all():
        assert (attempt.status, attempt.lease_token, attempt.index) == ("queued", 0, 1)
        assert attempt.workflow_id == schedule.workflow_id
        assert attempt.lane in {"backfill", "manual"}
    assert Backfill.objects.get(name="x").created_by.get_username() == "mallory"
    assert not answer.wsgi_request.user.is_superuser


# --- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/", "../../etc/passwd", "a\\b", "\0", "a\nb", "\x1b[31m", "", " "])
def test_a_name_that_means_a_path_is_refused(
    visitor: Client, mine: Owned, untouched: Untouched, quickly: Quickly, name: str
) -> None:
    start = {"workflowId": mine.definition, "sessionTime": WHEN, "retryAttemptName": name}
    for dry_run in (True, False):
        with untouched(), quickly():
            body = {"attemptName": name, "fromTime": WHEN, "dryRun": dry_run}
            backfilled = visitor.post(f"/api/schedules/{mine.schedule}/backfill", body, "application/json")
            started = visitor.put("/api/attempts", start, "application/json")

        assert (backfilled.status_code, list(backfilled.json()["errors"])) == (400, ["attemptName"])
        assert (started.status_code, list(started.json()["errors"])) == (400, ["retryAttemptName"])


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../x", "-rf", "$(id)", "a\\b", "a\0b", "", " a", "\u202ea"])
def test_a_project_is_not_given_a_name_that_means_a_path_or_an_option(
    visitor: Client, untouched: Untouched, pushed: bytes, name: str
) -> None:
    with untouched():
        request = RequestFactory().get("/", {"project": name, "revision": "r1"})
        path = f"/api/projects?{request.META['QUERY_STRING']}"
        answer = visitor.generic("PUT", path, pushed, content_type="application/gzip")

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["project"])


# --- times and counts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"count": 10**9}, "count"),
        ({"count": 10**30}, "count"),
        ({"count": -1}, "count"),
        ({"count": 1e3}, "count"),
        ({"fromTime": "2026-03-02T10:00:00"}, "fromTime"),
        ({"fromTime": "0000-01-01T00:00:00Z"}, "fromTime"),
        ({"fromTime": "10000-01-01T00:00:00Z"}, "fromTime"),
        ({"fromTime": "0001-01-01T00:00:00+14:00"}, "fromTime"),
        ({"fromTime": "9999-12-31T23:59:59-14:00"}, "fromTime"),
        ({"fromTime": "2026-02-30T00:00:00Z"}, "fromTime"),
        ({"fromTime": "2026-03-02T24:00:00Z"}, "fromTime"),
        ({"fromTime": 1772445600}, "fromTime"),
        ({"fromTime": "0001-01-01T00:00:00Z"}, "fromTime"),
        ({"fromTime": "1026-01-01T00:00:00Z"}, "fromTime"),
    ],
    ids=str,
)
def test_a_backfill_without_end_is_refused_without_counting_it(
    visitor: Client,
    make_schedule: Callable[..., Schedule],
    untouched: Untouched,
    quickly: Quickly,
    fields: dict[str, Any],
    wrong: str,
) -> None:
    every_minute = make_schedule("* * * * *")
    body = {"attemptName": "x", "fromTime": WHEN, "dryRun": False} | fields

    with untouched(), quickly():
        answer = visitor.post(f"/api/schedules/{every_minute.pk}/backfill", body, "application/json")

    assert (answer.status_code, list(answer.json()["errors"])) == (400, [wrong])


def test_a_time_in_a_year_that_never_comes_is_an_empty_backfill(visitor: Client, mine: Owned, quickly: Quickly) -> None:
    body = {"attemptName": "x", "fromTime": "9999-12-31T23:59:59Z", "dryRun": False}

    with quickly():
        answer = visitor.post(f"/api/schedules/{mine.schedule}/backfill", body, "application/json")

    assert (answer.status_code, answer.json()["attempts"]) == (200, [])


# --- JSON -------------------------------------------------------------------------------------------------------

NO_JSON = {
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep, in a field": b'{"params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN": b'{"count": NaN}',
    "infinity": b'{"count": -Infinity}',
    "a key twice": b'{"value": "a", "value": "b", "dryRun": true, "dryRun": false}',
    "half": b'{"value": "a',
    "two": b"{}{}",
    "comments": b"{} // x",
    "not UTF-8": b'{"value": "\xff"}',
    "UTF-16": '{"value": "a"}'.encode("utf-16"),
    "nothing but spaces": b"   ",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "a very long number": b'{"count": ' + b"9" * 500_000 + b"}",
    "more than a megabyte": b'{"value": "' + b"x" * 1_100_000 + b'"}',
}


@pytest.mark.parametrize("address", DOORS, ids=named)
def test_what_is_no_json_is_refused(
    visitor: Client, mine: Owned, untouched: Untouched, quickly: Quickly, address: Address
) -> None:
    with untouched():
        for kind, body in NO_JSON.items():
            with quickly():
                answer = send(visitor, address, mine, body)

            assert answer.status_code == (413 if kind == "more than a megabyte" else 400), kind
            assert answer.json()["status"] == answer.status_code
            assert len(answer.content) < 1000, kind


class Endless(RawIOBase):
    """A hundred megabytes, which nobody has to keep."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "read without a limit"
        self.taken += size
        return b" " * size


@pytest.mark.parametrize("address", DOORS, ids=named)
def test_of_a_hundred_megabytes_no_more_than_one_is_read(
    attacker: User, now: datetime, mine: Owned, untouched: Untouched, quickly: Quickly, address: Address
) -> None:
    _, key = apikeys.issue(user=attacker, name="k", now=now)
    body = Endless()
    path = address.filled(mine.of_api(address.pattern))
    environ = RequestFactory(headers={"Authorization": f"TD1 {key}"}).generic(TAKING[address.name], path).environ
    environ |= {"wsgi.input": body, "CONTENT_LENGTH": str(100_000_000), "CONTENT_TYPE": "application/json"}
    tracemalloc.start()

    with untouched(), quickly():
        answer = ClientHandler()(environ)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert body.taken <= 1_100_000
    assert peak < 30_000_000


MORE = {
    "api-schedule-backfill": ["count"],
    "api-schedule-skip": ["fromTime", "count", "nextRunTime", "dryRun"],
    "api-schedule-enable": ["skipSchedule", "nextTime"],
    "api-attempt-list": ["params", "resume", "poolId"],
}
WRONG = [None, True, 0, -1, 1.5, 10**40, "", "x", "\ud800", "\0", [], [[]], {}, {"a": 1}, "9" * 300]


@pytest.mark.parametrize("address", DOORS, ids=named)
def test_the_wrong_type_in_any_field_is_named_and_never_breaks_anything(
    visitor: Client, mine: Owned, quickly: Quickly, address: Address
) -> None:
    good = mine.bodies().get(address.name, {})
    fields = [*good, *MORE.get(address.name, ())]

    for field in fields:
        for value in WRONG:
            before = Session.objects.count(), Attempt.objects.count()
            with quickly():
                answer = send(visitor, address, mine, json.dumps(good | {field: value}).encode())

            assert answer.status_code in {200, 400, 404, 409}, (field, value)
            if answer.status_code == 400:
                assert field.split(".")[0] in answer.json()["message"] or answer.json()["errors"], (field, value)
                assert (Session.objects.count(), Attempt.objects.count()) == before
