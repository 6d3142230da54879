"""Processes with short leases, attempts that keep a ledger, and the look at everything after the fault."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from scheduler import dispatch
from scheduler.models import Attempt, Lane, Schedule, Session
from tests.faults.invariants import FORGET_MOVES, RECORD_MOVES, Ledger, broken
from tests.processes import Process, database_url

SHORT = {
    "HINDCAST_FAULTS": "1",
    "HINDCAST_LEASE_SECONDS": "3",
    "HINDCAST_RENEW_SECONDS": "0.75",
    "HINDCAST_RESEND_SECONDS": "2",
}
PATIENCE = 60.0


@pytest.fixture
def worker(start_worker: Callable[..., Process]) -> Callable[..., Process]:
    """worker(pool="prefork", HINDCAST_CRASH_AT="name:2"): a real worker with short leases."""
    return lambda pool="threads", **environment: start_worker(pool, **{**SHORT, **environment})


@pytest.fixture
def beat(start_beat: Callable[..., Process]) -> Callable[..., Process]:
    return lambda **environment: start_beat(**{**SHORT, **environment})


@dataclass
class Web:
    """The product under gunicorn."""

    process: subprocess.Popen[bytes]
    address: str


@pytest.fixture
def web(transactional_db: None, own_broker: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """web(HINDCAST_CRASH_AT="name"): one web process on the test's database and broker."""
    started: list[Web] = []

    def start(**environment: str) -> Web:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        told = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
            "DATABASE_URL": database_url(),
            "HINDCAST_VAR": str(settings.VAR_DIR),
            "HINDCAST_STORAGES": json.dumps({"logs": settings.STORAGES["logs"]}, default=str),
            "HINDCAST_TEST_READY": str(tmp_path / "web-ready"),
            **own_broker,
            **SHORT,
            **environment,
        }
        command = [sys.executable, "-m", "gunicorn", "scheduler.wsgi", "-b", f"127.0.0.1:{port}", "--threads", "2"]
        with (tmp_path / f"web-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=told, stdout=log, stderr=log)
        started.append(Web(process, f"http://127.0.0.1:{port}"))
        return started[-1]

    yield start
    for one in started:
        one.process.terminate()
        one.process.wait(30)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def queue(
    transactional_db: None, own_broker: dict[str, str], make_definition: Callable[..., Any]
) -> Callable[..., Any]:
    """queue({"+a": …}, 5): five released attempts of one workflow, their doorbells rung."""
    made = 0

    def make(document: dict[str, Any], count: int = 1, *, ring: bool = True, archive: str = "") -> list[Attempt]:
        nonlocal made
        made += 1
        definition = make_definition(f"wf{made}", document, project="faults", archive=archive)
        now = datetime.now(UTC)
        attempts = []
        for number in range(count):
            session = Session.objects.create(
                workflow=definition.workflow, session_time=now - timedelta(minutes=number), created_at=now
            )
            row = {"lane": Lane.MANUAL, "created_at": now, "released_at": now, "index": 1}
            attempts.append(
                Attempt.objects.create(session=session, workflow=definition.workflow, definition=definition, **row)
            )
        if ring:
            dispatch.send(Lane.MANUAL, min(count, 8))
        return attempts

    return make


@pytest.fixture
def at_rest(wait_until: Callable[..., Any]) -> Callable[..., None]:
    """at_rest(): waits until every attempt is done."""
    return lambda timeout=PATIENCE: wait_until(lambda: not Attempt.objects.live().exists(), timeout)


@pytest.fixture
def first_slots() -> dict[int, datetime]:
    """First due session time by schedule; `every_slot` fills it."""
    return {}


@pytest.fixture
def every_slot(
    transactional_db: None, make_schedule: Callable[..., Schedule], first_slots: dict[int, datetime]
) -> Callable[..., Schedule]:
    """every_slot("1", kind="seconds_interval", at=…): a schedule whose slots are counted from `at` on."""

    def make(*arguments: Any, **fields: Any) -> Schedule:
        schedule = make_schedule(*arguments, **fields)
        assert schedule.next_session_time
        first_slots[schedule.pk] = schedule.next_session_time
        return schedule

    return make


@pytest.fixture(autouse=True)
def _moves(transactional_db: None) -> Iterator[None]:
    """Every move of every attempt, as the database saw it."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(FORGET_MOVES + RECORD_MOVES)
    yield
    with connection.cursor() as cursor:
        cursor.execute(FORGET_MOVES)


@pytest.fixture
def nothing_broken(ledger: Ledger, tmp_path: Path, first_slots: dict[int, datetime]) -> Callable[..., None]:
    """nothing_broken(): every invariant holds. What only needs a moment (a process that ends) gets one.

    `workspaces_left`: how many folders a worker may leave that was killed after it ended an attempt.
    """

    def check(workspaces_left: int = 0) -> None:
        end = time.monotonic() + 10
        while (found := look(workspaces_left)) and time.monotonic() < end:
            time.sleep(0.2)
        assert found == {}

    def look(workspaces_left: int) -> dict[str, list[object]]:
        return broken(ledger=ledger, work=tmp_path / "work", first_slots=first_slots, workspaces_left=workspaces_left)

    return check
