"""Factories that need no arguments in the common case, and the switch between databases."""

import inspect
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import connection
from kombu import pools

from projects import apikeys
from projects.models import Project, Revision, Workflow, WorkflowDefinition
from scheduler.broker import broker_url
from scheduler.celery import app
from scheduler.execution.run import definition_of
from scheduler.models import Attempt, AttemptStatus, Lane, Schedule, Session
from scheduler.timetable import Kind, Timetable
from tests.own_queues import own_queues

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ECHO = {"+hello": {"echo>": "hello ${session_time}"}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        for item in items:
            if item.get_closest_marker("postgres"):
                item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set TEST_DATABASE_URL"))


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def make_definition(db: None) -> Callable[..., WorkflowDefinition]:
    """A workflow's definition: make_definition("wf", {"+a": {"echo>": "x"}}, project="p", timezone="UTC")."""

    def make(
        name: str = "hourly_report",
        document: dict[str, Any] | None = None,
        *,
        project: str = "sales",
        timezone: str = "UTC",
        archive: str = "",
    ) -> WorkflowDefinition:
        owner, _ = Project.objects.get_or_create(name=project, deleted_at=None, defaults={"created_at": NOW})
        workflow, _ = Workflow.objects.get_or_create(project=owner, name=name)
        revision = Revision.objects.create(
            project=owner, name=f"r{owner.revisions.count() + 1}", archive=archive, created_at=NOW
        )
        return WorkflowDefinition.objects.create(
            revision=revision, workflow=workflow, timezone=timezone, document=ECHO if document is None else document
        )

    return make


@pytest.fixture
def make_schedule(make_definition: Callable[..., WorkflowDefinition]) -> Callable[..., Schedule]:
    """A schedule with a past: hourly in UTC unless told; its next session is the first that runs after `at` (NOW)."""

    def make(
        expression: str = "0 * * * *",
        *,
        kind: Kind = Kind.CRON,
        timezone: str = "UTC",
        at: datetime = NOW,
        name: str = "hourly_report",
        project: str = "sales",
        document: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Schedule:
        definition = make_definition(name, document, project=project, timezone=timezone)
        timetable = Timetable(
            kind=Kind(kind),
            expression=expression,
            timezone=timezone,
            start_date=fields.get("start_date"),
            end_date=fields.get("end_date"),
        )
        upcoming = timetable.first(at + timedelta(microseconds=1))
        times = {
            "next_session_time": upcoming.session_time if upcoming else None,
            "next_run_time": upcoming.run_time if upcoming else None,
        }
        return Schedule.objects.create(
            **{
                "workflow": definition.workflow,
                "definition": definition,
                "kind": Kind(kind).value,
                "expression": expression,
                "timezone": timezone,
                "created_at": NOW,
                "updated_at": NOW,
                **times,
                **fields,
            }
        )

    return make


@pytest.fixture
def schedule(make_schedule: Callable[..., Schedule]) -> Schedule:
    return make_schedule()


@pytest.fixture
def make_session(db: None) -> Callable[..., Session]:
    """A session of a schedule's workflow, without attempts."""

    def make(schedule: Schedule, session_time: datetime) -> Session:
        return Session.objects.create(workflow=schedule.workflow, session_time=session_time, created_at=NOW)

    return make


@pytest.fixture
def make_attempt(make_session: Callable[..., Session]) -> Callable[..., Attempt]:
    """An attempt of the session at `session_time` (made when missing), in any status, the latest of its session."""

    def make(
        schedule: Schedule,
        session_time: datetime = NOW - timedelta(hours=1),
        *,
        status: AttemptStatus = AttemptStatus.SUCCESS,
        name: str = "",
        **fields: Any,
    ) -> Attempt:
        session = Session.objects.filter(workflow=schedule.workflow, session_time=session_time).first()
        session = session or make_session(schedule, session_time)
        index = session.attempts.count() + 1
        session.attempts.filter(is_latest=True).update(is_latest=False)
        done = status in {AttemptStatus.SUCCESS, AttemptStatus.ERROR, AttemptStatus.KILLED}
        leased = status in {AttemptStatus.RUNNING, AttemptStatus.CANCELING}
        return Attempt.objects.create(
            **{
                "session": session,
                "definition": schedule.definition,
                "index": index,
                "name": name,
                "status": status,
                "lane": Lane.SCHEDULED,
                "created_at": NOW,
                "released_at": NOW,
                "started_at": NOW if done or leased else None,
                "finished_at": NOW if done else None,
                "lease_expires_at": datetime.now(UTC) + timedelta(minutes=5) if leased else None,
                "lease_token": 1 if leased or done else 0,
                **fields,
            }
        )

    return make


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """A user with the named permissions: make_user("ann", "scheduler.backfill_schedule")."""

    def make(username: str = "ann", *permissions: str, **fields: Any) -> User:
        user = User.objects.create_user(username, password="correct horse", **fields)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return User.objects.get(pk=user.pk)

    return make


@pytest.fixture
def operator(make_user: Callable[..., User]) -> User:
    """A user who may backfill."""
    return make_user("olga", "scheduler.backfill_schedule")


@pytest.fixture
def api_key(operator: User) -> str:
    """The text of a key of `operator` with both scopes."""
    return apikeys.issue(user=operator, name="test", now=datetime.now(UTC))[1]


@pytest.fixture
def is_postgres() -> bool:
    return connection.vendor == "postgresql"


@pytest.fixture(autouse=True)
def _fresh_definitions() -> None:
    """Definitions never change, so workers remember them by id; a test's rollback gives the same ids again."""
    definition_of.cache_clear()


# --- real worker processes -------------------------------------------------------------------------------------


@dataclass
class Worker:
    """A running `celery worker`. Ends with the test, by its own process id."""

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
            pytest.fail(f"The worker did not end:\n{self.output.read_text()}")

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
        "HINDCAST_TEST_QUEUES": f"hindcast-test-{worker_id}-",
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
def start_worker(transactional_db: None, own_broker: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """start_worker(pool="prefork", HINDCAST_LEASE_SECONDS="2"): a real worker of two slots on the test's database."""
    started: list[Worker] = []

    def start(pool: str = "threads", **environment: str) -> Worker:
        ready = tmp_path / f"ready-{len(started)}"
        output = tmp_path / f"worker-{len(started)}.log"
        command = f"-m celery -A scheduler worker --pool {pool} -c 2 -Q scheduled,manual,backfill,celery".split()
        quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat", "-l", "WARNING"]
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *command, *quiet],
                cwd=settings.BASE_DIR,
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
                    "DATABASE_URL": _database_url(),
                    "HINDCAST_VAR": str(settings.VAR_DIR),
                    "HINDCAST_WORK_DIR": str(tmp_path / "work"),
                    "HINDCAST_TEST_READY": str(ready),
                    **own_broker,
                    **environment,
                },
                stdout=file,
                stderr=file,
            )
        worker = Worker(process, output)
        started.append(worker)
        _wait_for(ready, worker)
        return worker

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.stop()


@pytest.fixture
def live_worker(start_worker: Callable[..., Worker]) -> Worker:
    """A real worker with the thread pool, ready. Mark the test with `processes`."""
    return start_worker()


def _database_url() -> str:
    """Where this process keeps the test's rows."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    owner = f"{database['USER']}:{quote(database['PASSWORD'])}"
    return f"postgres://{owner}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def _wait_for(ready: Path, worker: Worker) -> None:
    end = time.monotonic() + 30
    while not ready.exists():
        if worker.process.poll() is not None or time.monotonic() > end:
            worker.kill()
            pytest.fail(f"The worker did not start:\n{worker.output.read_text()}")
        time.sleep(0.02)
