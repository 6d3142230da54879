"""Everything that the admin lists, in any number, and people who look at it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects import apikeys
from projects.models import Project, Revision, Secret, Workflow, WorkflowDefinition
from scheduler.models import (
    Attempt,
    AttemptStatus,
    Backfill,
    Lane,
    LogChunk,
    LogFile,
    Pool,
    Schedule,
    Session,
    Skip,
    SkipReason,
    TaskRun,
    TaskState,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

VIEW = tuple(
    f"{app}.view_{model}"
    for app, models in {
        "projects": ("project", "revision", "workflow", "workflowdefinition", "apikey"),
        "scheduler": ("schedule", "session", "attempt", "backfill", "taskrun", "logchunk", "logfile", "pool", "skip"),
    }.items()
    for model in models
)


@pytest.fixture
def root(make_user: Callable[..., User]) -> User:
    return make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def enter() -> Callable[[User], Client]:
    """A browser in which the user has signed in."""

    def browser(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return browser


@pytest.fixture
def superuser_client(root: User, enter: Callable[[User], Client]) -> Client:
    return enter(root)


@pytest.fixture
def make_staff(make_user: Callable[..., User]) -> Callable[..., User]:
    """A user of the admin who may look at everything, keys of secrets, too, and what is named."""

    def make(username: str = "sam", *permissions: str) -> User:
        return make_user(username, *VIEW, "projects.change_secret", *permissions, is_staff=True)

    return make


@pytest.fixture
def populate(db: None, root: User) -> Callable[[int], None]:
    """`count` rows of every model, each in a project of its own."""

    def fill(count: int) -> None:
        start = Project.objects.count()
        for number in range(start, start + count):
            project = Project.objects.create(name=f"p{number}", created_at=NOW)
            revision = Revision.objects.create(project=project, name="r1", created_at=NOW, created_by=root)
            workflow = Workflow.objects.create(project=project, name=f"w{number}")
            definition = WorkflowDefinition.objects.create(revision=revision, workflow=workflow, timezone="Asia/Tokyo")
            schedule = Schedule.objects.create(
                workflow=workflow,
                definition=definition,
                kind="daily",
                expression="07:00:00",
                timezone="Asia/Tokyo",
                created_at=NOW,
                updated_at=NOW,
            )
            backfill = Backfill.objects.create(
                workflow=workflow,
                schedule=schedule,
                name=f"b{number}",
                from_time=NOW,
                sessions=1,
                created_at=NOW,
                created_by=root,
            )
            session = Session.objects.create(workflow=workflow, session_time=NOW, created_at=NOW)
            attempt = Attempt.objects.create(
                session=session,
                workflow=session.workflow,
                definition=definition,
                index=1,
                name=f"b{number}",
                status=AttemptStatus.SUCCESS,
                lane=Lane.BACKFILL,
                backfill=backfill,
                created_at=NOW,
                finished_at=NOW,
            )
            TaskRun.objects.create(
                attempt=attempt, position=0, full_name="+w", state=TaskState.GROUP_ERROR, updated_at=NOW
            )
            LogChunk.objects.create(attempt=attempt, position=0, text="hello\n" * 100, written_at=NOW)
            LogFile.objects.create(
                attempt=attempt, position=1, name=f"0/{attempt.pk}.1.log.gz", size=6, lines=1, written_at=NOW
            )
            Skip.objects.create(
                schedule=schedule, session_time=NOW + timedelta(days=1), reason=SkipReason.OVERTIME, created_at=NOW
            )
            Pool.objects.create(name=f"pool{number}", slots=2)
            Secret.objects.create(project=project, key=f"s{number}", sealed="sealed", updated_at=NOW)
            apikeys.issue(user=root, name=f"k{number}", now=NOW, project=project)

    return fill
