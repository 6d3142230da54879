"""Fixtures that start real worker and beat processes on the test's own database and broker."""

import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from kombu import pools

from scheduler.broker import broker_url
from scheduler.celery import app
from tests.own_queues import own_queues


@dataclass
class Process:
    """A running `celery worker` or `celery beat`. Ends with the test, by its own process id."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, timeout: float = 20) -> int:
        """Ask it to end in good order (SIGTERM); kill it when it does not. Returns its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"The process did not end:\n{self.output.read_text()}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """wait_until(lambda: condition, timeout=10): the first true value of the condition; fails after the time."""

    def wait(condition: Callable[[], Any], timeout: float = 10) -> Any:
        end = time.monotonic() + timeout
        while not (found := condition()):
            if time.monotonic() > end:
                pytest.fail(f"Not true within {timeout} s: {inspect.getsource(condition).strip()}")
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def own_broker(tmp_path: Path, worker_id: str) -> Iterator[dict[str, str]]:
    """Doorbells of this test reach this test's workers alone. Yields the workers' environment for that.

    The embedded broker gets a file of its own; the queues of Redis and RabbitMQ get a prefix, and are emptied.
    """
    embedded = not os.environ.get("TEST_BROKER_URL")
    environment = {
        "BROKER_URL": broker_url(tmp_path / "broker.sqlite3") if embedded else os.environ["TEST_BROKER_URL"],
        "HINDCAST_TEST_QUEUES": f"{Path(os.environ['HINDCAST_TEST_VAR']).name}-{worker_id}-",
    }
    before = (app.conf.broker_url, app.conf.task_queues)
    app.conf.broker_url, app.conf.task_queues = environment["BROKER_URL"], own_queues(environment)
    _forget_connections()
    with app.connection_for_write() as connection_:
        for queue in app.conf.task_queues:
            queue(connection_.default_channel).declare()
            queue(connection_.default_channel).purge()
    yield environment
    with app.connection_for_write() as connection_:
        for queue in app.conf.task_queues:
            queue(connection_.default_channel).delete()
    app.conf.broker_url, app.conf.task_queues = before
    _forget_connections()


def _forget_connections() -> None:
    pools.reset()
    app._pool = None
    app.__dict__.pop("amqp", None)  # it remembers queues, routes and a producer pool, once it has sent anything


@pytest.fixture
def start_process(
    transactional_db: None, own_broker: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., Process]]:
    """start_process(["worker", ...], NAME="value"): a real `celery` process on the test's database and broker."""
    started: list[Process] = []

    def start(arguments: list[str], **environment: str) -> Process:
        ready, output = tmp_path / f"ready-{len(started)}", tmp_path / f"process-{len(started)}.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "scheduler", *arguments],
                cwd=settings.BASE_DIR,
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
                    "CELERY_SKIP_CHECKS": "1",  # as the processes of `manage.py up` do, which checked before
                    "DATABASE_URL": database_url(),
                    "HINDCAST_VAR": str(settings.VAR_DIR),
                    "HINDCAST_STORAGES": json.dumps({"logs": settings.STORAGES["logs"]}, default=str),
                    "HINDCAST_WORK_DIR": str(tmp_path / "work"),
                    "HINDCAST_TEST_READY": str(ready),
                    **own_broker,
                    **environment,
                },
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        started.append(Process(process, output))
        _wait_for(ready, started[-1])
        return started[-1]

    yield start
    with ExitStack() as ends:  # one that does not end leaves none of the others behind
        for process in reversed(started):
            if process.process.poll() is None:
                ends.callback(process.stop)


@pytest.fixture
def start_worker(start_process: Callable[..., Process]) -> Callable[..., Process]:
    """start_worker(pool="prefork", HINDCAST_LEASE_SECONDS="2"): a real worker of two slots."""

    def start(pool: str = "threads", **environment: str) -> Process:
        command = f"worker --pool {pool} -c 2 -Q scheduled,manual,backfill,celery".split()
        quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat", "-l", "WARNING"]
        return start_process([*command, *quiet], **environment)

    return start


@pytest.fixture
def live_worker(start_worker: Callable[..., Process]) -> Process:
    """A real worker with the thread pool, ready. Mark the test with `processes`."""
    return start_worker()


@pytest.fixture
def start_beat(start_process: Callable[..., Process]) -> Callable[..., Process]:
    """start_beat(): a real beat with our scheduler."""

    def start(**environment: str) -> Process:
        return start_process(["beat", "-l", "INFO", "--pidfile="], **environment)

    return start


def database_url() -> str:
    """Where this process keeps the test's rows."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    owner = f"{database['USER']}:{quote(database['PASSWORD'])}"
    return f"postgres://{owner}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def _wait_for(ready: Path, process: Process) -> None:
    end = time.monotonic() + 30
    while not ready.exists():
        if process.process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"The process did not start:\n{process.output.read_text()}")
        time.sleep(0.02)
