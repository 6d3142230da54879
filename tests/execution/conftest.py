"""Attempts of documents, run in this process or by a real worker."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from projects import archives, secrets
from projects.models import WorkflowDefinition
from scheduler import dispatch
from scheduler.execution.drain import drain
from scheduler.execution.lease import keeper
from scheduler.models import Attempt, AttemptStatus, Lane, LogChunk, Session, TaskRun

SESSION_TIME = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def _lease_threads_end(django_db_setup: None) -> Iterator[None]:
    """They close their connections then; a database with open ones cannot be dropped."""
    yield
    keeper.join()


@pytest.fixture
def queue(make_definition: Callable[..., WorkflowDefinition]) -> Callable[..., Attempt]:
    """queue({"+a": {"echo>": "x"}}, files={"tasks.py": "…"}): a released attempt of a workflow of its own."""
    count = 0

    def make(
        document: Mapping[str, Any],
        *,
        files: Mapping[str, str] | None = None,
        timezone_name: str = "UTC",
        session_time: datetime = SESSION_TIME,
        name: str = "wf",
        **fields: Any,
    ) -> Attempt:
        nonlocal count
        count += 1
        archive = archives.store({path: text.encode() for path, text in (files or {}).items()})
        definition = make_definition(name, dict(document), project=f"p{count}", timezone=timezone_name, archive=archive)
        now = timezone.now()
        session = Session.objects.create(workflow=definition.workflow, session_time=session_time, created_at=now)
        released = {"lane": Lane.MANUAL, "created_at": now, "released_at": now, **fields}
        return Attempt.objects.create(
            session=session, workflow=definition.workflow, definition=definition, index=1, **released
        )

    return make


@pytest.fixture
def execute(execute_with: Callable[..., Attempt]) -> Callable[..., Attempt]:
    """execute({…}): the attempt, after it was run in this process."""
    return partial(execute_with, {})


@pytest.fixture
def execute_with(queue: Callable[..., Attempt], settings: Any, tmp_path: Path) -> Callable[..., Attempt]:
    """execute_with({"http.user": "ann"}, {…}): the same, in a project with these secrets."""
    settings.HINDCAST_WORK_DIR = tmp_path / "work"

    def run(values: Mapping[str, str], document: Mapping[str, Any], **fields: Any) -> Attempt:
        attempt = queue(document, **fields)
        for key, value in values.items():
            secrets.put(project_id=attempt.workflow.project_id, key=key, value=value, now=attempt.created_at)
        drain(Lane.MANUAL)
        attempt.refresh_from_db()
        return attempt

    return run


@pytest.fixture
def start(queue: Callable[..., Attempt]) -> Callable[..., Attempt]:
    """start({…}): the attempt, its doorbell rung for a real worker."""

    def ring(document: Mapping[str, Any], **fields: Any) -> Attempt:
        attempt = queue(document, **fields)
        dispatch.ring(Lane.MANUAL, attempts=1)
        return attempt

    return ring


@pytest.fixture
def ended(wait_until: Callable[..., Any]) -> Callable[..., Attempt]:
    """ended(attempt): the attempt, once it is done."""

    def wait(attempt: Attempt, timeout: float = 15) -> Attempt:
        wait_until(lambda: Attempt.objects.get(pk=attempt.pk).done, timeout)
        attempt.refresh_from_db()
        return attempt

    return wait


@pytest.fixture
def running(wait_until: Callable[..., Any]) -> Callable[..., None]:
    """running(attempt, "text"): waits until its log holds the text."""

    def wait(attempt: Attempt, text: str = "") -> None:
        wait_until(lambda: Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.RUNNING, 15)
        wait_until(lambda: text in _log(attempt), 15)

    return wait


@pytest.fixture
def log_of() -> Callable[[Attempt], str]:
    return _log


def _log(attempt: Attempt) -> str:
    return "".join(LogChunk.objects.filter(attempt=attempt).order_by("pk").values_list("text", flat=True))


@pytest.fixture
def states() -> Callable[[Attempt], dict[str, str]]:
    """States of the tasks by full name, in order."""

    def read(attempt: Attempt) -> dict[str, str]:
        return dict(TaskRun.objects.filter(attempt=attempt).order_by("position").values_list("full_name", "state"))

    return read
