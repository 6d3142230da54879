"""Rows as the wire shows them: plain dictionaries with exactly the keys that clients know.

The clients build their objects from these keys and fail on any other. Ids are text; `createdAt` and its like are UTC
with a Z; session times carry the offset of the workflow's zone. What has no value is left out of an attempt.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from scheduler.api.rows import Run, SessionRow
from scheduler.backfill import Plan, PlannedAttempt
from scheduler.models import Attempt, AttemptStatus, Schedule, TaskRun, TaskState
from scheduler.models.attempt import DONE, digdag_status
from scheduler.models.task import TRIED_LATER
from scheduler.timetable import NEVER, TimetableError, zone

Entry = dict[str, Any]

NO_ID = "0"  # in a dry run, nothing has one
LOCAL_LENGTH = len("2022-12-31T23:59:00+00:00")
CANCELABLE = {TaskState.BLOCKED, TaskState.READY, TaskState.RUNNING, TaskState.PLANNED}


def plan_entry(plan: Plan, *, now: datetime) -> Entry:
    """The answer to a backfill asked for at `now`; without ids when nothing was written."""
    schedule = plan.schedule
    project, workflow = schedule.workflow.project, schedule.workflow
    owner = {
        "project": name_entry(project.pk, project.name),
        "workflow": name_entry(schedule.definition_id, workflow.name),
    }
    run = run_entry(Run(0, 0, plan.request.attempt_name, {}, AttemptStatus.QUEUED, now, None, None, plan.pool_id))
    same, place = {**owner, **run}, place_of(schedule.definition.timezone)
    written = plan.backfill is not None
    attempts = [planned_entry(item, same, place, written=written) for item in plan.planned]
    backfill_id = str(plan.backfill.pk) if plan.backfill else None
    return {"id": str(schedule.pk), **owner, "backfillId": backfill_id, "attempts": attempts}


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


def conflict_entries(plan: Plan) -> list[Entry]:
    place = place_of(plan.schedule.definition.timezone)
    return [conflict_entry(item, item.conflict, place) for item in plan.planned if item.conflict is not None]


def conflict_entry(item: PlannedAttempt, conflict: Attempt, place: ZoneInfo) -> Entry:
    return {
        "sessionTime": local_time(item.slot.session_time, place),
        "attemptId": str(conflict.pk),
        "retryAttemptName": conflict.name or None,
        "attemptStatus": conflict.digdag_status,
        "reason": item.conflict_reason,
    }


def schedule_entries(schedules: Iterable[Schedule]) -> Entry:
    return {"schedules": [schedule_entry(schedule) for schedule in schedules]}


def schedule_entry(schedule: Schedule) -> Entry:
    """Needs the workflow and its project."""
    project, workflow = schedule.workflow.project, schedule.workflow
    return {
        "id": str(schedule.pk),
        "project": name_entry(project.pk, project.name),
        "workflow": name_entry(schedule.definition_id, workflow.name),
        "nextRunTime": instant(schedule.next_run_time or NEVER),
        "nextScheduleTime": next_session(schedule),
        "disabledAt": instant(schedule.disabled_at) if schedule.disabled_at else None,
    }


def schedule_summary(schedule: Schedule) -> Entry:
    """As the verbs on a schedule answer: Digdag adds when it was made and changed."""
    return {
        **schedule_entry(schedule),
        "createdAt": instant(schedule.created_at),
        "updatedAt": instant(schedule.updated_at),
    }


def next_session(schedule: Schedule) -> str:
    if schedule.next_session_time is None:
        return local_time(NEVER, place_of("UTC"))
    return local_time(schedule.next_session_time, place_of(schedule.timezone))


def session_entries(rows: Iterable[tuple[Run | None, SessionRow]]) -> Entry:
    return {"sessions": [session_entry(run, session) for run, session in rows]}


def session_entry(latest: Run | None, session: SessionRow) -> Entry:
    """A session; one without an attempt has no definition, either, and is shown in UTC."""
    return {
        "id": str(session.session_id),
        "project": name_entry(session.project_id, session.project_name),
        "workflow": name_entry(session.definition_id, session.workflow_name),
        "sessionUuid": str(session.session_uuid),
        "sessionTime": local_time(session.session_time, place_of(session.timezone or "UTC")),
        "lastAttempt": run_entry(latest) if latest else None,
    }


def attempt_entries(rows: Iterable[tuple[Run, SessionRow]]) -> Entry:
    return {"attempts": [attempt_entry(run, session) for run, session in rows]}


def attempt_entry(run: Run, session: SessionRow) -> Entry:
    """An attempt with all that it belongs to."""
    return {
        **run_entry(run),
        "project": name_entry(session.project_id, session.project_name),
        "workflow": name_entry(session.definition_id, session.workflow_name),
        "sessionId": str(session.session_id),
        "sessionUuid": str(session.session_uuid),
        "sessionTime": local_time(session.session_time, place_of(session.timezone or "UTC")),
    }


def run_entry(run: Run) -> Entry:
    """The attempt alone, as the last one of its session is shown."""
    entry = {
        "id": str(run.id),
        "index": run.number,
        "params": run.params,
        "status": digdag_status(run.status, run.started_at),
        "done": run.status in DONE,
        "success": run.status == AttemptStatus.SUCCESS,
        "cancelRequested": run.cancel_requested_at is not None,
        "createdAt": instant(run.created_at),
    }
    if run.name:
        entry["retryAttemptName"] = run.name
    if run.finished_at is not None:
        entry["finishedAt"] = instant(run.finished_at)
    if run.pool_id is not None:
        entry["poolId"] = str(run.pool_id)
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
        "stateParams": state_params(task),
        "updatedAt": instant(task.updated_at),
        "retryAt": instant(task.retry_at) if task.retry_at and task.state in TRIED_LATER else None,
        "startedAt": instant(task.started_at) if task.started_at else None,
        "error": task.error,
        "isGroup": task.is_group,
    }


def state_params(task: TaskRun) -> Entry:
    """What Digdag tells of it: how often it was tried again. The rest is the operators' own."""
    retries = task.state_params.get("retries")
    return {"retry_count": retries} if retries else {}


def name_entry(pk: int | None, name: str) -> Entry:
    """A project, or a workflow: that one goes by the id of its definition."""
    return {"name": name} if pk is None else {"id": str(pk), "name": name}


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
