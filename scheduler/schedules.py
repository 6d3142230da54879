"""VERBS on schedules: adopt a new revision, disable, enable."""

from datetime import datetime

from django.db import transaction

from projects.models import Revision, WorkflowDefinition
from scheduler.models import CatchUp, Overlap, Schedule
from scheduler.timetable import ScheduleSpec, parse_schedule


def adopt(revision: Revision, *, now: datetime, schedule_from: datetime | None = None) -> list[Schedule]:
    """Make, move and remove schedules so that they follow the definitions of `revision`, as Digdag does.

    A new schedule starts at the first slot whose run time is at or after `schedule_from` (`now`, unless given).
    One that was there keeps its id and stays disabled where it was; it goes on after its last session when it has
    ever run. Schedules of workflows that have none any more are removed; their sessions stay.
    Raises TimetableError for a `schedule:` that is not one; nothing is written then.
    """
    definitions = list(revision.definitions.select_related("workflow"))
    specs = {
        definition.pk: parse_schedule(definition.document["schedule"], definition.timezone)
        for definition in definitions
        if definition.document.get("schedule")
    }
    with transaction.atomic():
        scheduled = [definition for definition in definitions if definition.pk in specs]
        there = Schedule.objects.select_for_update().filter(workflow__project=revision.project_id)
        there.exclude(workflow__in=[definition.workflow_id for definition in scheduled]).delete()
        return [_adopt(definition, specs[definition.pk], now, schedule_from or now) for definition in scheduled]


def _adopt(definition: WorkflowDefinition, spec: ScheduleSpec, now: datetime, start: datetime) -> Schedule:
    schedule = Schedule.objects.filter(workflow=definition.workflow_id).first()
    schedule = schedule or Schedule(workflow=definition.workflow, created_at=now)
    schedule.definition = definition
    schedule.kind = spec.timetable.kind.value
    schedule.expression = spec.timetable.expression
    schedule.timezone = spec.timetable.timezone
    schedule.delay = spec.timetable.delay
    schedule.start_date = spec.timetable.start_date
    schedule.end_date = spec.timetable.end_date
    schedule.catch_up = CatchUp(spec.catch_up)
    schedule.overlap = Overlap(spec.overlap)
    schedule.skip_delayed_by = spec.skip_delayed_by
    last = schedule.last_session_time
    following = spec.timetable.next(last) if last else spec.timetable.first(start)
    schedule.next_session_time, schedule.next_run_time = following or (None, None)
    schedule.error, schedule.failures, schedule.retry_at = "", 0, None
    schedule.version += 1
    schedule.updated_at = now
    schedule.save()
    return schedule


def disable(schedule_id: int, *, now: datetime) -> bool:
    """Stop starting sessions. False: it was disabled already. Backfills go on working."""
    rows = Schedule.objects.filter(pk=schedule_id, disabled_at=None)
    return rows.update(disabled_at=now, updated_at=now) == 1


def enable(schedule_id: int, *, now: datetime) -> bool:
    """Start sessions again; those that came due meanwhile are caught up. False: it was enabled already."""
    rows = Schedule.objects.filter(pk=schedule_id, disabled_at__isnull=False)
    return rows.update(disabled_at=None, retry_at=None, updated_at=now) == 1
