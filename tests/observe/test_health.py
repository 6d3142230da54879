import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from pytest_django import Settings

from scheduler.celery import app
from scheduler.models import Attempt, AttemptStatus, Heartbeat, Schedule
from scheduler.web import health

PARTS = {"web", "database", "broker", "tick", "queue"}


@pytest.fixture(autouse=True)
def _just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STARTED", time.monotonic())
    monkeypatch.setattr(health, "BROKER", health.Probe("broker", health.ask_broker))
    monkeypatch.setattr(health, "DATABASE", health.Probe("database", health.ask_database))


@pytest.fixture
def long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has run for an hour."""
    monkeypatch.setattr(health, "STARTED", time.monotonic() - 3600)


def ticked(seconds_ago: float, **facts: Any) -> None:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    Heartbeat.objects.create(kind="beat", name=f"host:{seconds_ago}", started_at=at, beat_at=at, facts=facts)


@pytest.fixture
def broker_at() -> Iterator[Callable[[str], None]]:
    before = app.conf.broker_url
    yield lambda url: app.conf.update(broker_url=url)
    app.conf.update(broker_url=before)


def test_a_fresh_start_is_healthy_before_the_first_tick(client: Client, transactional_db: None) -> None:
    answer = client.get("/healthz")

    assert answer.status_code == 200
    assert answer.json().keys() == {"status"} | PARTS
    assert answer.json()["status"] == "ok"
    assert answer.json()["tick"] == {"status": "ok", "seconds": None}
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(("path", "code"), [("/livez", 200), ("/healthz", 200), ("/", 301), ("/livez/more", 301)])
def test_probes_are_answered_without_tls_where_all_else_is_sent_to_it(
    client: Client, transactional_db: None, settings: Settings, path: str, code: int
) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert client.get(path).status_code == code


def test_a_probe_by_another_name_than_the_sites_is_refused(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["hindcast.example"]

    assert client.get("/livez", headers={"Host": "10.0.0.7:8000"}).status_code == 400
    assert client.get("/livez", headers={"Host": "hindcast.example"}).status_code == 200


@pytest.mark.parametrize(("age", "status", "code"), [(2, "ok", 200), (70, "late", 200), (400, "down", 503)])
def test_the_age_of_the_last_tick_decides(
    client: Client, transactional_db: None, long_ago: None, age: int, status: str, code: int
) -> None:
    ticked(age)
    ticked(5000)

    answer = client.get("/healthz")

    assert (answer.json()["tick"]["status"], answer.json()["status"], answer.status_code) == (status, status, code)
    assert age <= answer.json()["tick"]["seconds"] < age + 30


def test_an_hour_without_any_tick_is_down(client: Client, transactional_db: None, long_ago: None) -> None:
    assert client.get("/healthz").status_code == 503


def test_a_clock_that_holds_its_tick_is_late(client: Client, transactional_db: None) -> None:
    ticked(1, held_since="2026-03-02T11:00:00Z")

    assert client.get("/healthz").json()["tick"]["status"] == "late"


def test_released_attempts_that_nobody_starts_are_late(
    client: Client, transactional_db: None, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule, status=AttemptStatus.QUEUED, released_at=datetime.now(UTC) - timedelta(seconds=90))

    answer = client.get("/healthz")

    assert answer.status_code == 200
    assert answer.json()["queue"]["status"] == answer.json()["status"] == "late"
    assert 90 <= answer.json()["queue"]["seconds"] < 120
    assert b"sales" not in answer.content


def test_the_limits_are_settings(client: Client, transactional_db: None, long_ago: None, settings: Settings) -> None:
    settings.HINDCAST_LATE_SECONDS, settings.HINDCAST_DOWN_SECONDS = 1.0, 2.0
    ticked(10)

    assert client.get("/healthz").json()["tick"]["status"] == "down"


def test_a_database_out_of_reach_is_down_and_named_nowhere(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: BaseDatabaseWrapper) -> None:
        raise OperationalError("could not connect to db-17.internal")

    monkeypatch.setattr(BaseDatabaseWrapper, "connect", unreachable)

    answer = client.get("/healthz")

    assert answer.status_code == 503
    assert answer.json()["database"]["status"] == "down"
    assert answer.json()["tick"]["status"] == "unknown"
    assert b"db-17" not in answer.content


def test_a_database_that_hangs_is_given_up_after_a_second(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang(self: BaseDatabaseWrapper) -> None:
        released.wait(20)
        raise OperationalError("at last")

    monkeypatch.setattr(BaseDatabaseWrapper, "connect", hang)
    threads = threading.active_count()

    started = time.monotonic()
    answers = [client.get("/healthz") for _ in range(3)]
    spent = time.monotonic() - started
    asking = [thread for thread in threading.enumerate() if thread.name == "probe-database"]
    released.set()

    assert {answer.status_code for answer in answers} == {503}
    assert spent < 6
    assert len(asking) == 1
    for thread in asking:
        thread.join()
    assert threading.active_count() <= threads + 1


def test_a_broker_that_accepts_and_never_answers_is_down(
    client: Client, transactional_db: None, broker_at: Callable[[str], None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker_at(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")

        started = time.monotonic()
        answer = client.get("/healthz")
        spent = time.monotonic() - started

    assert answer.status_code == 503
    assert answer.json()["broker"]["status"] == "down"
    assert answer.json()["database"]["status"] == "ok"
    assert spent < 3


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_not_there_is_down(
    client: Client, transactional_db: None, broker_at: Callable[[str], None], scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    broker_at(f"{scheme}://127.0.0.1:{port}//")

    answer = client.get("/healthz")

    assert answer.json()["broker"]["status"] == "down"


def test_livez_asks_nobody(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(BaseDatabaseWrapper, "connect", never)

    answer = client.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
