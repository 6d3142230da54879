"""Factories that need no arguments in the common case, and the switch between databases."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import connection

from projects import apikeys
from projects.models import Project, Revision, Workflow, WorkflowDefinition
from scheduler.execution import lease
from scheduler.execution.facts import definition_of
from scheduler.execution.lease import Lease, seconds
from scheduler.models import Attempt, AttemptStatus, Lane, Schedule, Session
from scheduler.timetable import Kind, Timetable
from tests.processes import live_worker, own_broker, start_beat, start_process, start_worker, wait_until

__all__ = ["live_worker", "own_broker", "start_beat", "start_process", "start_worker", "wait_until"]

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ECHO = {"+hello": {"echo>": "hello ${session_time}"}}


# What asks neither the suite's database nor its broker is the same on all of them: it runs on the embedded ones.
INDIFFERENT = ("dig/", "timetable/", "commands/test_up.py", "test_checks.py", "test_project.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TEST_DATABASE_URL"):
        leave_out(config, items, [item for item in items if inside(item).startswith(INDIFFERENT)])
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        for item in items:
            if item.get_closest_marker("postgres"):
                item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set TEST_DATABASE_URL"))


def inside(item: pytest.Item) -> str:
    return str(item.path.relative_to(Path(__file__).parent))


def leave_out(config: pytest.Config, items: list[pytest.Item], those: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=those)
    gone = set(those)
    items[:] = [item for item in items if item not in gone]


@pytest.fixture(autouse=True)
def _leases_are_kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper's own connection sees nothing of a test's transaction, and would take what runs in it for lost."""
    marker = request.node.get_closest_marker("django_db")
    committed = {"transactional_db", "live_server"} & {*request.fixturenames} or (marker and marker.kwargs)
    if not committed:
        monkeypatch.setattr(lease, "renew", _keep)


def _keep(leases: list[Lease]) -> None:
    for held in leases:
        held.renewed_at = seconds()


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
                "workflow": schedule.workflow,
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
