"""What a run reads before it begins: its attempt and session, and the definition, which never changes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection

from projects.models import WorkflowDefinition
from scheduler.attempts import Claim
from scheduler.execution.journal import Resumed
from scheduler.execution.lease import LeaseLost
from scheduler.execution.plan import PlanRefused, Spec, plan
from scheduler.models import Schedule
from scheduler.timetable import TimetableError


@dataclass(frozen=True)
class Definition:
    """What never changes of a workflow definition, ready to run. `root` is the refusal of a document that is not."""

    workflow_id: int
    project_id: int
    timezone: str
    archive: str
    root: Spec | PlanRefused


@lru_cache(maxsize=1024)
def definition_of(definition_id: int) -> Definition:
    row = WorkflowDefinition.objects.select_related("workflow", "revision").get(pk=definition_id)
    try:
        root: Spec | PlanRefused = plan(row.workflow.name, row.document)
    except PlanRefused as refusal:
        root = refusal
    return Definition(row.workflow_id, row.workflow.project_id, row.timezone, row.revision.archive, root)


@dataclass(frozen=True)
class Facts:
    """What a run needs to know of its attempt and session; read at the start, in one query."""

    attempt_id: int
    definition_id: int
    session_id: int
    name: str
    params: Mapping[str, Any]
    last_executed_session_time: datetime | None
    again: bool  # it was begun before
    session_time: datetime
    session_uuid: UUID
    resumed: Resumed | None

    @classmethod
    def of(cls, claim: Claim) -> "Facts":
        with connection.cursor() as cursor:
            cursor.execute(_FACTS, [claim.attempt_id])
            row = cursor.fetchone()
        if row is None:  # deleted with its project
            raise LeaseLost
        pk, definition, session, name, params, last_executed, again, session_time, session_uuid, *resumed = row
        return cls(
            attempt_id=pk,
            definition_id=definition,
            session_id=session,
            name=name,
            params=json.loads(params),
            last_executed_session_time=last_executed and _instant(last_executed),
            again=bool(again),
            session_time=_instant(session_time),
            session_uuid=session_uuid if isinstance(session_uuid, UUID) else UUID(session_uuid),
            resumed=Resumed(*resumed) if resumed[0] is not None else None,
        )


# By hand, since every attempt passes here: building the query takes the ORM longer than the database needs for it.
_FACTS = """
    SELECT attempt.id, attempt.definition_id, attempt.session_id, attempt.name, attempt.params,
           attempt.last_executed_session_time, attempt.lease_token > 1, session.session_time, session.uuid,
           attempt.resumed_from_id, attempt.resume_position
      FROM scheduler_attempt attempt JOIN scheduler_session session ON session.id = attempt.session_id
     WHERE attempt.id = %s
"""


def _instant(value: datetime) -> datetime:
    """SQLite keeps instants in UTC, without saying so."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def neighbours(workflow_id: int, session_time: datetime) -> tuple[datetime | None, datetime | None] | None:
    """The schedule's session times before and after, whether or not they ran; None when there is no schedule."""
    schedule = Schedule.objects.filter(workflow=workflow_id).first()
    if schedule is None:
        return None
    try:
        around = (schedule.timetable.previous(session_time), schedule.timetable.next(session_time))
    except TimetableError:
        return None
    before, after = (slot.session_time if slot else None for slot in around)
    return before, after
