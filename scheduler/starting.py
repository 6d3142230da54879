"""VERB: start a session now, or run it again under a new name; all of its tasks, or those that did not succeed.

Everything happens in one transaction under a lock on the project's row, and on the schedule's where there is one:
two that start the same session come one after the other, and a backfill, a tick or a deletion waits its turn.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from django.db import transaction
from django.db.models import Max, Q

from projects.models import Project, WorkflowDefinition
from scheduler import attempts, backfill, dispatch, turns
from scheduler.backfill import Request, in_utc
from scheduler.errors import HindcastError, InvalidInput
from scheduler.execution.plan import PlanRefused, plan
from scheduler.execution.storable import text
from scheduler.execution.task import Task
from scheduler.execution.tree import planned
from scheduler.models import Attempt, AttemptStatus, Lane, Schedule, Session
from scheduler.models.attempt import DONE, LIVE
from scheduler.models.schedule import ONE_AT_A_TIME

DEEPEST_PARAMS = 50
MOST_PARAMS_BYTES = 64 * 1024  # every list of attempts shows them


class WorkflowNotFound(HindcastError):  # noqa: N818 - named as the fact
    """There is no such workflow definition, or its project was deleted."""

    def __init__(self, definition_id: int) -> None:
        super().__init__(f"There is no workflow {definition_id}.")
        self.definition_id = definition_id


class AttemptConflict(HindcastError):  # noqa: N818 - named as the fact
    """The session has an attempt of that name, or one that is not done: `attempt`."""

    def __init__(self, attempt: Attempt, name: str) -> None:
        if attempt.name == name:
            called = f"an attempt named {name!r}" if name else "a first attempt"
            super().__init__(f"The session already has {called}: attempt {attempt.pk}. Give this one another name.")
        else:
            super().__init__(f"Attempt {attempt.pk} of this session is {attempt.digdag_status}; wait until it is done.")
        self.attempt = attempt


class ResumeMode(Enum):
    FAILED = "failed"
    FROM = "from"


@dataclass(frozen=True)
class Resume:
    """Which earlier attempt's finished tasks are not run again.

    `failed`: all that succeeded. `from`: those that succeeded and stand before `task`, a full name or the end of one.
    """

    attempt_id: int
    mode: ResumeMode = ResumeMode.FAILED
    task: str = ""


def start(
    *,
    definition_id: int,
    session_time: datetime,
    retry_attempt_name: str | None = None,
    params: Mapping[str, Any] | None = None,
    resume: Resume | None = None,
    pool_id: int | None = None,
    dry_run: bool = False,
    now: datetime,
) -> Attempt:
    """Start the session of `session_time` (aware; its fraction of a second is cut off), in the manual lane.

    The session is made when it is missing. Its first attempt needs no name; every other one does. The definition
    decides the revision. It runs in the pool `pool_id`, or in that of its schedule. A dry run makes the same checks,
    and answers an attempt that was not written.

    Raises InvalidInput naming `retry_attempt_name`, `session_time`, `params`, `pool_id` or `resume.…`;
    WorkflowNotFound; AttemptConflict. Nothing is written in any of these cases.
    """
    name = retry_attempt_name or ""
    at = checked(retry_attempt_name, session_time, params or {})
    with transaction.atomic():
        definition = locked(definition_id)
        session, _ = Session.objects.get_or_create(
            workflow_id=definition.workflow_id, session_time=at, defaults={"created_at": now}
        )
        refuse_conflicts(session, name)
        position = resume_position(session, definition, resume) if resume else None
        attempt = Attempt(
            session=session,
            workflow_id=session.workflow_id,
            definition=definition,
            name=name,
            params=dict(params or {}),
            lane=Lane.MANUAL,
            pool_id=pool_of(definition, pool_id),
            resumed_from_id=resume.attempt_id if resume else None,
            resume_position=position,
            created_at=now,
        )
        if dry_run:
            transaction.set_rollback(True)  # the session, where it was missing
            return attempt
        return submitted(attempt, now)


def checked(name: str | None, session_time: datetime, params: Mapping[str, Any]) -> datetime:
    """The session time in UTC, in whole seconds. Raises InvalidInput naming every wrong field."""
    errors: dict[str, list[str]] = {}
    at = in_utc(session_time)
    if name is not None:
        errors["retry_attempt_name"] = name_faults(name)
    if at is None:
        errors["session_time"] = ["Give a time with its offset from UTC, between the years 1 and 9999."]
    errors["params"] = params_faults(params)
    errors = {field: texts for field, texts in errors.items() if texts}
    if errors or at is None:
        raise InvalidInput(errors)
    return at.replace(microsecond=0)


def name_faults(name: str) -> list[str]:
    """A name is ruled as that of a backfill."""
    try:
        backfill.checked(Request(name, datetime.min.replace(tzinfo=UTC)))
    except InvalidInput as refusal:
        return refusal.errors["attempt_name"]
    return []


def params_faults(params: Mapping[str, Any]) -> list[str]:
    fault = unstorable(params)
    if not fault and len(json.dumps(params)) > MOST_PARAMS_BYTES:
        fault = f"The parameters are longer than {MOST_PARAMS_BYTES:,} bytes."
    return [fault] if fault else []


def unstorable(value: object, depth: int = 0) -> str:
    """Why some database could not keep this JSON value; empty when all can."""
    if depth > DEEPEST_PARAMS:
        return f"The parameters are nested more than {DEEPEST_PARAMS} deep."
    if isinstance(value, str):
        return "" if text(value) == value else "The parameters hold a character that cannot be stored."
    if isinstance(value, float):
        return "" if math.isfinite(value) else "The parameters hold a number that is too large."
    parts = [*value, *value.values()] if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return next((fault for part in parts if (fault := unstorable(part, depth + 1))), "")


def locked(definition_id: int) -> WorkflowDefinition:
    """The definition, its project kept from deletion and its schedule from moving until the transaction ends."""
    definition = WorkflowDefinition.objects.select_related("workflow").filter(pk=definition_id).first()
    if definition is None:
        raise WorkflowNotFound(definition_id)
    projects = Project.objects.live().select_for_update(no_key=True).filter(pk=definition.workflow.project_id)
    if not list(projects.values_list("pk")):
        raise WorkflowNotFound(definition_id)
    list(Schedule.objects.select_for_update(no_key=True).filter(workflow=definition.workflow_id).values_list("pk"))
    return definition


def refuse_conflicts(session: Session, name: str) -> None:
    there = Attempt.objects.filter(Q(name=name) | Q(status__in=LIVE), session=session)
    found = list(there.only("session", "name", "status", "started_at"))
    if found:
        raise AttemptConflict(next((attempt for attempt in found if attempt.name == name), found[0]), name)


def resume_position(session: Session, definition: WorkflowDefinition, resume: Resume) -> int | None:
    """From which task on all are run again; None in the mode `failed`. Raises InvalidInput naming what is wrong."""
    earlier = Attempt.objects.filter(pk=resume.attempt_id, session=session).only("status", "started_at").first()
    if earlier is None:
        raise InvalidInput({"resume.attempt_id": [f"This session has no attempt {resume.attempt_id}."]})
    if earlier.status not in DONE:
        raise InvalidInput(
            {"resume.attempt_id": [f"Attempt {earlier.pk} is {earlier.digdag_status}; wait until it is done."]}
        )
    if resume.mode is ResumeMode.FROM:
        return position_of(resume.task, tasks_of(definition))
    if earlier.status == AttemptStatus.SUCCESS:
        reason = f"Attempt {earlier.pk} is success: no task failed. Give the task to start from."
        raise InvalidInput({"resume.attempt_id": [reason]})
    return None


def position_of(name: str, tasks: Sequence[Task]) -> int:
    """Of the task with that full name, or else of the one whose full name ends so, as Digdag's TaskMatchPattern has it.

    Raises InvalidInput when there is none, or more than one.
    """
    exact = [task for task in tasks if task.full_name == name]
    found = exact or [task for task in tasks if task.full_name.endswith(name)]
    if len(found) == 1:
        return found[0].position
    if not found:
        raise InvalidInput({"resume.from": [f"The workflow has no task {name!r}."]})
    names = ", ".join(task.full_name for task in found[:5])
    raise InvalidInput({"resume.from": [f"{len(found)} tasks end in {name!r}: {names}. Give more of the name."]})


def tasks_of(definition: WorkflowDefinition) -> Sequence[Task]:
    try:
        return planned(plan(definition.workflow.name, definition.document))
    except PlanRefused:
        return ()


def pool_of(definition: WorkflowDefinition, pool_id: int | None) -> int | None:
    if pool_id is None:
        return Schedule.objects.filter(workflow=definition.workflow_id).values_list("pool", flat=True).first()
    return turns.known_pool(pool_id)


def submitted(attempt: Attempt, now: datetime) -> Attempt:
    """Write it as the latest of its session. It is released at once, unless it has to wait for room."""
    session = attempt.session
    attempt.index = (session.attempts.aggregate(last=Max("index"))["last"] or 0) + 1
    attempt.last_executed_session_time = executed_before(session)
    alone = not attempt.name and has_to_run_alone(session.workflow_id)
    waits = alone or attempt.pool_id is not None
    attempt.released_at = None if waits else now
    attempts.supersede([session.pk])
    attempt.save(force_insert=True)
    if waits:
        turns.release(workflow_id=session.workflow_id if alone else None, pool_id=attempt.pool_id, now=now)
        attempt.refresh_from_db(fields=["released_at"])
    else:
        dispatch.ring(Lane.MANUAL, attempts=1)
    return attempt


def has_to_run_alone(workflow_id: int) -> bool:
    return Schedule.objects.filter(workflow=workflow_id, overlap__in=ONE_AT_A_TIME).exists()


def executed_before(session: Session) -> datetime | None:
    """The last session time before this one that has a session, whatever became of it."""
    earlier = Session.objects.filter(workflow=session.workflow_id, session_time__lt=session.session_time)
    return earlier.order_by("-session_time").values_list("session_time", flat=True).first()
