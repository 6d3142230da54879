"""Two projects: one that the attacker may use, and one of which he must not learn that it is there."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from projects import apikeys, archives, secrets
from projects.models import Project
from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule, Skip, SkipReason, TaskRun, TaskState
from tests.api.attacks.world import HIDDEN, MINE, THEIRS, Owned, rows, tgz


@pytest.fixture
def quickly() -> Callable[[], AbstractContextManager[None]]:
    """What is answered inside takes less than a second of this process."""

    @contextmanager
    def measured() -> Iterator[None]:
        began = time.process_time()
        yield
        assert time.process_time() - began < 1

    return measured


@pytest.fixture
def untouched(db: None) -> Callable[[], AbstractContextManager[None]]:
    """What happens inside writes nothing, anywhere."""

    @contextmanager
    def checked() -> Iterator[None]:
        before = rows()
        yield
        assert rows() == before

    return checked


@pytest.fixture
def make_owned(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], now: datetime
) -> Callable[..., Owned]:
    """One of everything, in the project `name`; `mark` is in all that is written about it."""

    def make(name: str, mark: str) -> Owned:
        schedule = make_schedule(name=f"{mark}-workflow", project=name)
        attempt = make_attempt(schedule, now - timedelta(hours=5), status=AttemptStatus.ERROR, params={"of": mark})
        task = TaskRun.objects.create(
            attempt=attempt, position=0, full_name=f"+{mark}", state=TaskState.ERROR, updated_at=now
        )
        chunk = LogChunk.objects.create(attempt=attempt, position=0, text=f"{mark} wrote this\n", written_at=now)
        skip = Skip.objects.create(
            schedule=schedule, session_time=now - timedelta(hours=6), reason=SkipReason.OVERTIME, created_at=now
        )
        definition = schedule.definition
        revision = definition.revision
        revision.name = f"{mark}-r1"
        with archives.pack({"a.dig": f"+{mark}:\n  echo>: {mark}\n".encode()}) as upload:
            revision.archive = archives.keep(upload).name
        revision.save()
        project = schedule.workflow.project_id
        secrets.put(project_id=project, key="token", value=f"{mark}-hunter2", now=now)
        plan = backfill(schedule_id=schedule.pk, attempt_name=f"{mark}-fix", from_time=now, dry_run=False, now=now)
        assert plan.backfill
        return Owned(
            mark=mark,
            project=project,
            workflow=schedule.workflow_id,
            definition=definition.pk,
            revision=revision.pk,
            schedule=schedule.pk,
            session=attempt.session_id,
            attempt=attempt.pk,
            backfill=plan.backfill.pk,
            log=f"+{mark}@0.hindcast.log.gz",
            others={
                "projects.project": project,
                "projects.revision": revision.pk,
                "projects.workflow": schedule.workflow_id,
                "projects.workflowdefinition": definition.pk,
                "projects.secret": schedule.workflow.project.secrets.get().pk,
                "scheduler.schedule": schedule.pk,
                "scheduler.session": attempt.session_id,
                "scheduler.attempt": attempt.pk,
                "scheduler.backfill": plan.backfill.pk,
                "scheduler.taskrun": task.pk,
                "scheduler.logchunk": chunk.pk,
                "scheduler.skip": skip.pk,
            },
        )

    return make


@pytest.fixture
def mine(make_owned: Callable[..., Owned]) -> Owned:
    return make_owned(MINE, MINE)


@pytest.fixture
def make_theirs(make_owned: Callable[..., Owned]) -> Callable[[], Owned]:
    """One of everything in a project for a group that the attacker is not in."""

    def make() -> Owned:
        owned = make_owned(THEIRS, HIDDEN)
        Project.objects.get(name=THEIRS).groups.add(Group.objects.get_or_create(name="board")[0])
        return owned

    return make


@pytest.fixture
def theirs(make_theirs: Callable[[], Owned]) -> Owned:
    return make_theirs()


@pytest.fixture
def attacker(make_user: Callable[..., User]) -> User:
    """May do everything, in the admin, too, but is in no group and no superuser."""
    user = make_user("mallory", is_staff=True)
    user.user_permissions.add(*Permission.objects.all())
    return User.objects.get(pk=user.pk)


@pytest.fixture(params=["key", "key of one project", "browser"])
def intruder(request: Any, attacker: User, make_user: Any, mine: Owned, now: datetime) -> Client:
    """A client of somebody who may do everything in `mine`: by a key, by a key of that project, or signed in."""
    if request.param == "browser":
        client = Client()
        client.force_login(attacker)
        return client
    bound = request.param == "key of one project"
    user = make_user("root", is_superuser=True) if bound else attacker
    project = Project.objects.get(pk=mine.project) if bound else None
    _, text = apikeys.issue(user=user, name="k", now=now, project=project)
    return Client(headers={"Authorization": f"TD1 {text}"})


@pytest.fixture
def visitor(attacker: User) -> Client:
    """The attacker, signed in."""
    client = Client()
    client.force_login(attacker)
    return client


@pytest.fixture
def stranger(db: None) -> Client:
    """Nobody: no key, no session."""
    return Client()


@pytest.fixture
def pushed() -> bytes:
    """An archive that anybody would take."""
    return tgz({"a.dig": "+a:\n  echo>: x\n"})
