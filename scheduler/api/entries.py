"""Rows as the wire shows them: plain dictionaries with exactly the keys that clients know.

The clients build their objects from these keys and fail on any other. Ids are text; `createdAt` and its like are UTC
with a Z; session times carry the offset of the workflow's zone. What has no value is left out of an attempt.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from projects.models import Project, Workflow
from scheduler.backfill import Plan, PlannedAttempt
from scheduler.models import Attempt, Schedule, Session, TaskRun, TaskState
from scheduler.models.attempt import DONE
from scheduler.timetable import NEVER, TimetableError, zone

Entry = dict[str, Any]

NO_ID = "0"  # in a dry run, nothing has one
LOCAL_LENGTH = len("2022-12-31T23:59:00+00:00")
CANCELABLE = {TaskState.BLOCKED, TaskState.READY, TaskState.RUNNING, TaskState.PLANNED}


def plan_entry(plan: Plan, *, now: datetime) -> Entry:
    """The answer to a backfill asked for at `now`; without ids when nothing was written."""
    schedule = plan.schedule
    owner = {
        "project": project_entry(schedule.workflow.project),
        "workflow": workflow_entry(schedule.workflow, schedule.definition_id),
    }
    same = {**owner, **new_run_entry(plan.request.attempt_name, now)}
    place = place_of(schedule.definition.timezone)
    written = plan.backfill is not None
    attempts = [planned_entry(item, same, place, written=written) for item in plan.planned]
    return {"id": str(schedule.pk), **owner, "attempts": attempts}


def planned_entry(item: PlannedAttempt, same: Entry, place: ZoneInfo, *, written: bool) -> Entry:
    """An attempt of a backfill; `same` is what all of them have in common."""
    return {
        **same,
        "id": str(item.attempt_id) if written else NO_ID,
        "index": item.index if written else 0,
        "sessionId": str(item.session_id) if written else NO_ID,
        "sessionUuid": str(item.session_uuid),
        "sessionTime": local_time(item.slot.session_time, place),
    }


def new_run_entry(name: str, now: datetime) -> Entry:
    """A run that has not begun, without its id."""
    return run_entry(Attempt(name=name, created_at=now))


def conflict_entries(plan: Plan) -> list[Entry]:
    place = place_of(plan.schedule.definition.timezone)
    return [conflict_entry(item, item.conflict, place) for item in plan.planned if item.conflict is not None]


def conflict_entry(item: PlannedAttempt, conflict: Attempt, place: ZoneInfo) -> Entry:
    return {
        "sessionTime": local_time(item.slot.session_time, place),
        "attemptId": str(conflict.pk),
        "retryAttemptName": conflict.name or None,
        "attemptStatus": str(conflict.status),
        "reason": item.conflict_reason,
    }


def schedule_entries(schedules: Iterable[Schedule]) -> Entry:
    return {"schedules": [schedule_entry(schedule) for schedule in schedules]}


def schedule_entry(schedule: Schedule) -> Entry:
    """Needs `with_names()`."""
    return {
        "id": str(schedule.pk),
        "project": project_entry(schedule.workflow.project),
        "workflow": workflow_entry(schedule.workflow, schedule.definition_id),
        "nextRunTime": instant(schedule.next_run_time or NEVER),
        "nextScheduleTime": next_session(schedule),
        "disabledAt": instant(schedule.disabled_at) if schedule.disabled_at else None,
    }


def next_session(schedule: Schedule) -> str:
    if schedule.next_session_time is None:
        return local_time(NEVER, place_of("UTC"))
    return local_time(schedule.next_session_time, place_of(schedule.timezone))


def session_entries(sessions: Iterable[Session]) -> Entry:
    return {"sessions": [session_entry(session) for session in sessions]}


def session_entry(session: Session) -> Entry:
    """Needs `with_names()` and `with_latest_attempt()`. Without an attempt there is no definition: UTC, and no id."""
    latest = session.latest_attempt
    return {
        "id": str(session.pk),
        "project": project_entry(session.workflow.project),
        "workflow": workflow_entry(session.workflow, latest.definition_id if latest else None),
        "sessionUuid": str(session.uuid),
        "sessionTime": local_time(session.session_time, place_of(latest.definition.timezone if latest else "UTC")),
        "lastAttempt": run_entry(latest) if latest else None,
    }


def attempt_entries(attempts: Iterable[Attempt]) -> Entry:
    return {"attempts": [named_attempt_entry(attempt) for attempt in attempts]}


def named_attempt_entry(attempt: Attempt) -> Entry:
    """Needs `with_names()`."""
    workflow = attempt.session.workflow
    return attempt_entry(
        attempt,
        attempt.session,
        project=project_entry(workflow.project),
        workflow=workflow_entry(workflow, attempt.definition_id),
        place=place_of(attempt.definition.timezone),
    )


def attempt_entry(attempt: Attempt, session: Session, *, project: Entry, workflow: Entry, place: ZoneInfo) -> Entry:
    """An attempt with all that it belongs to; the two entries may be shared between attempts."""
    return {
        "id": str(attempt.pk),
        "index": attempt.index,
        "project": project,
        "workflow": workflow,
        "sessionId": str(session.pk),
        "sessionUuid": str(session.uuid),
        "sessionTime": local_time(session.session_time, place),
        **run_entry(attempt),
    }


def run_entry(attempt: Attempt) -> Entry:
    """The attempt alone, as the last one of its session is shown."""
    status = str(attempt.status)
    entry = {
        "id": str(attempt.pk),
        "index": attempt.index,
        "params": attempt.params,
        "status": status,
        "done": status in DONE,
        "success": status == "success",
        "cancelRequested": attempt.cancel_requested_at is not None,
        "createdAt": instant(attempt.created_at),
    }
    if attempt.name:
        entry["retryAttemptName"] = attempt.name
    if attempt.finished_at is not None:
        entry["finishedAt"] = instant(attempt.finished_at)
    if attempt.pool_id is not None:
        entry["poolId"] = str(attempt.pool_id)
    return entry


def task_entries(attempt: Attempt, tasks: Sequence[TaskRun]) -> Entry:
    """All tasks of an attempt, in order; they point at each other by id."""
    ids = {task.position: str(task.pk) for task in tasks}
    return {"tasks": [task_entry(task, ids, canceled=attempt.cancel_requested) for task in tasks]}


def task_entry(task: TaskRun, ids: dict[int, str], *, canceled: bool) -> Entry:
    return {
        "id": str(task.pk),
        "fullName": task.full_name,
        "parentId": None if task.parent is None else ids.get(task.parent),
        "config": task.config,
        "upstreams": [ids[position] for position in task.upstreams if position in ids],
        "state": str(task.state),
        "cancelRequested": canceled and task.state in CANCELABLE,
        "exportParams": task.export_params,
        "storeParams": task.store_params,
        "stateParams": {},
        "updatedAt": instant(task.updated_at),
        "retryAt": None,
        "startedAt": instant(task.started_at) if task.started_at else None,
        "error": task.error,
        "isGroup": task.is_group,
    }


def project_entry(project: Project) -> Entry:
    return {"id": str(project.pk), "name": project.name}


def workflow_entry(workflow: Workflow, definition_id: int | None) -> Entry:
    """The wire knows a workflow by the id of its definition."""
    if definition_id is None:
        return {"name": workflow.name}
    return {"id": str(definition_id), "name": workflow.name}


def instant(moment: datetime) -> str:
    """An aware UTC moment as `2023-08-18T06:52:33Z`, its fraction cut off."""
    return moment.isoformat()[:19] + "Z"


def local_time(moment: datetime, place: ZoneInfo) -> str:
    """The moment by the clocks of `place`, with their offset."""
    text = moment.astimezone(place).isoformat(timespec="seconds")
    # Before standard time came, offsets had seconds, which RFC 3339 cannot write.
    return text if len(text) == LOCAL_LENGTH else moment.astimezone(UTC).isoformat(timespec="seconds")


@lru_cache(maxsize=1024)
def place_of(timezone: str) -> ZoneInfo:
    """The zone of that name; UTC for one that this machine does not know, so that one row cannot spoil a list."""
    try:
        return zone(timezone)
    except TimetableError:
        return zone("UTC")
