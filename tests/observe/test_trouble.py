"""A full or a busy database: said, waited for, and over without a restart."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client

from scheduler.models import Attempt, Schedule, Session
from scheduler.observe.trouble import FULL, GONE, LOCKED, trouble_of

pytestmark = pytest.mark.django_db(transaction=True)
WANTED = {"attemptName": "again", "fromTime": "2026-02-01T00:00:00+00:00", "dryRun": False}


@pytest.fixture
def past(make_schedule: Callable[..., Schedule]) -> Schedule:
    """Hourly since a month ago: a backfill of it needs pages of its own."""
    return make_schedule()


@pytest.fixture
def sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("of SQLite")


@pytest.fixture
def full(sqlite: None) -> Iterator[Callable[[], None]]:
    """Let the database grow no more, until it is called."""

    def pragma(name: str, value: int | None = None) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA {name}" if value is None else f"PRAGMA {name} = {value}")
            return int(cursor.fetchone()[0])

    most = pragma("max_page_count")

    def heal() -> None:
        pragma("max_page_count", most)

    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # no free pages left
    pragma("max_page_count", pragma("page_count"))
    yield heal
    heal()


@pytest.fixture
def locked(sqlite: None) -> Iterator[Callable[[], None]]:
    """Hold the write lock in another connection, until it is called; we wait for a tenth of a second."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def let_go() -> None:
        if other.in_transaction:
            other.execute("ROLLBACK")

    yield let_go
    let_go()
    other.close()
    connection.close()


def ask_for_backfill(client: Client, schedule: Schedule, key: str) -> Any:
    return client.post(
        f"/api/schedules/{schedule.pk}/backfill",
        json.dumps(WANTED),
        content_type="application/json",
        headers={"Authorization": f"TD1 {key}"},
    )


def test_a_full_disk_is_a_503_that_keeps_nothing_and_heals(
    client: Client, past: Schedule, api_key: str, full: Callable[[], None]
) -> None:
    refused = ask_for_backfill(client, past, api_key)
    kept = Session.objects.count(), Attempt.objects.count()
    listed = client.get("/api/schedules", headers={"Authorization": f"TD1 {api_key}"})
    full()
    healed = ask_for_backfill(client, past, api_key)

    assert (refused.status_code, refused["Retry-After"]) == (503, "60")
    assert refused.json() == {"message": FULL.text, "status": 503}
    assert kept == (0, 0)
    assert listed.status_code == 200
    assert healed.status_code == 200
    assert Attempt.objects.count() == len(healed.json()["attempts"]) > 500


def test_a_locked_database_is_a_503_and_heals(
    client: Client, past: Schedule, api_key: str, locked: Callable[[], None]
) -> None:
    refused = ask_for_backfill(client, past, api_key)
    locked()
    healed = ask_for_backfill(client, past, api_key)

    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert refused.json() == {"message": LOCKED.text, "status": 503}
    assert healed.status_code == 200


def test_a_locked_database_can_be_read(
    client: Client, past: Schedule, api_key: str, locked: Callable[[], None]
) -> None:
    answer = client.get("/api/schedules", headers={"Authorization": f"TD1 {api_key}"})

    assert answer.status_code == 200


def test_a_page_says_what_happened_and_what_was_kept(
    client: Client, operator: User, past: Schedule, locked: Callable[[], None]
) -> None:
    client.raise_request_exception = False

    answer = client.post("/login", {"username": operator.username, "password": "correct horse"})

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert b"all that was saved before is kept" in answer.content
    assert b"Nothing has to be restarted" in answer.content
    locked()
    assert client.post("/login", {"username": operator.username, "password": "correct horse"}).status_code == 302


def test_what_a_server_database_says_is_told_apart() -> None:
    def raised(sqlstate: str | None) -> Exception:
        cause = Exception()
        cause.sqlstate = sqlstate  # type: ignore[attr-defined]
        error = OperationalError("x")
        error.__cause__ = cause
        return error

    assert [trouble_of(raised(state)) for state in ("53100", "55P03", "57P01", None)] == [FULL, LOCKED, GONE, GONE]
    assert trouble_of(OperationalError("bare")) == GONE


def test_no_room_for_the_first_connection_to_sqlite_is_a_full_disk() -> None:
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    error = OperationalError("disk I/O error")
    error.__cause__ = cause

    assert trouble_of(error) == FULL
