"""What lists read: the columns that the wire shows, and no more.

Plain tuples, one query: a hundred attempts with their sessions, workflows, projects and definitions would be five
hundred models, most of whose columns (documents, leases, moments) nobody asked for.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import FilteredRelation, Q, QuerySet

from scheduler.models import Attempt, Session
from scheduler.models.attempt import AttemptQuerySet
from scheduler.models.session import SessionQuerySet


class Run(NamedTuple):
    """An attempt alone."""

    id: int
    number: int
    name: str
    params: dict[str, Any]
    status: str
    created_at: datetime
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    pool_id: int | None
    started_at: datetime | None = None


class SessionRow(NamedTuple):
    """A session, and whose it is; without a definition when it has no attempt."""

    session_id: int
    session_uuid: UUID
    session_time: datetime
    workflow_name: str
    project_id: int
    project_name: str
    definition_id: int | None
    timezone: str | None


RUN = (
    "id",
    "index",
    "name",
    "params",
    "status",
    "created_at",
    "finished_at",
    "cancel_requested_at",
    "pool_id",
    "started_at",
)
WIDTH = len(RUN)
SESSION_OF_ATTEMPT = (
    "session_id",
    "session__uuid",
    "session__session_time",
    "workflow__name",
    "workflow__project_id",
    "workflow__project__name",
    "definition_id",
    "definition__timezone",
)
LATEST_RUN = tuple(f"latest__{name}" for name in RUN)
SESSION = (
    "id",
    "uuid",
    "session_time",
    "workflow__name",
    "workflow__project_id",
    "workflow__project__name",
    "latest__definition_id",
    "latest__definition__timezone",
)


def attempt_rows(attempts: AttemptQuerySet) -> list[tuple[Run, SessionRow]]:
    return [(Run._make(row[:WIDTH]), SessionRow._make(row[WIDTH:])) for row in attempt_query(attempts)]


def session_rows(sessions: SessionQuerySet) -> list[tuple[Run | None, SessionRow]]:
    """Each session with its latest attempt, where it has one."""
    rows = session_query(sessions)
    return [(Run._make(row[:WIDTH]) if row[0] is not None else None, SessionRow._make(row[WIDTH:])) for row in rows]


def attempt_query(attempts: AttemptQuerySet) -> QuerySet[Attempt, tuple[Any, ...]]:
    return attempts.values_list(*RUN, *SESSION_OF_ATTEMPT)


def session_query(sessions: SessionQuerySet) -> QuerySet[Session, tuple[Any, ...]]:
    latest = FilteredRelation("attempts", condition=Q(attempts__is_latest=True))
    return sessions.annotate(latest=latest).values_list(*LATEST_RUN, *SESSION)
