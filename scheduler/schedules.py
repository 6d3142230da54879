"""VERBS on schedules: adopt a new revision, disable, enable, skip, assign a pool."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db import transaction
from django.db.models import Max

from projects.models import Project, Revision, WorkflowDefinition
from scheduler import turns
from scheduler.backfill import in_utc, locked
from scheduler.deletion import ProjectNotFound
from scheduler.errors import HindcastError, InvalidInput
from scheduler.models import CatchUp, Overlap, Schedule, Session, Skip, SkipReason
from scheduler.timetable import ScheduleSpec, Slot, Timetable, parse_schedule, zone

MOST_SKIPPED = 10_000


class SkipConflict(HindcastError):  # noqa: N818 - named as the fact
    """The schedule stands at that session already, or beyond it."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__("There is nothing to skip: the schedule's next session is not before that time.")
        self.schedule = schedule


@dataclass(frozen=True)
class Target:
    """Where to skip to: the first session that runs at or after `at`, and `count` sessions further.

    `field` is the name of `at` in a refusal. Without an offset, `at` is local to the schedule's zone.
    """

    at: datetime
    count: int = 0
    field: str = "next_time"


@dataclass(frozen=True)
class Skipped:
    """The schedule as it stands after the skip, or would stand, and the sessions passed over."""

    schedule: Schedule
    slots: list[Slot]


def adopt(
    revision: Revision, *, now: datetime, schedule_from: datetime | None = None, cleared: Collection[str] = ()
) -> list[Schedule]:
    """Make, move and remove schedules so that they follow the definitions of `revision`, as Digdag does.

    A new schedule starts at the first slot whose run time is at or after `schedule_from` (`now`, unless given).
    One that was there keeps its id and stays disabled where it was; it goes on after the last session that it ran
    or skipped, or else starts as if it were new, but not after a session that is due already; those of the workflows
    named in `cleared` forget both. Schedules of workflows that have none any more are removed; their sessions stay.
    Raises TimetableError for a `schedule:` that is not one, ProjectNotFound when the project was deleted meanwhile;
    nothing is written then.
    """
    definitions = list(revision.definitions.select_related("workflow"))
    specs = {
        definition.pk: parse_schedule(definition.document["schedule"], definition.timezone)
        for definition in definitions
        if definition.document.get("schedule")
    }
    with transaction.atomic():
        _keep_from_deletion(revision.project_id)
        scheduled = [definition for definition in definitions if definition.pk in specs]
        there = Schedule.objects.filter(workflow__project=revision.project_id).order_by("pk")
        # Who moves one, or backfills it, ends first. `delete` would read what hangs on them before it waits for them.
        list(there.select_for_update(of=("self",)).values_list("pk"))
        there.exclude(workflow__in=[definition.workflow_id for definition in scheduled]).delete()
        return [
            _adopt(definition, specs[definition.pk], now, schedule_from or now, definition.workflow.name in cleared)
            for definition in scheduled
        ]


def _keep_from_deletion(project_id: int) -> None:
    """Until the transaction ends; one adoption of a project's revisions at a time."""
    project = Project.objects.live().select_for_update(no_key=True).filter(pk=project_id)
    if not list(project.values_list("pk")):
        raise ProjectNotFound(project_id)


def _adopt(
    definition: WorkflowDefinition, spec: ScheduleSpec, now: datetime, start: datetime, is_cleared: bool
) -> Schedule:
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
    if is_cleared:
        schedule.last_session_time = schedule.next_session_time = schedule.next_run_time = None
    last = None if is_cleared else _last_decided(schedule)
    following = spec.timetable.next(last) if last else _started(schedule, spec.timetable, start, now)
    schedule.next_session_time, schedule.next_run_time = following or (None, None)
    schedule.error, schedule.failures, schedule.retry_at = "", 0, None
    schedule.version += 1
    schedule.updated_at = now
    schedule.save()
    return schedule


def _last_decided(schedule: Schedule) -> datetime | None:
    """The last session that ran or was skipped: what was skipped once does not come due again."""
    if schedule._state.adding:
        return None
    skipped = schedule.skips.aggregate(last=Max("session_time"))["last"]
    return max((moment for moment in (schedule.last_session_time, skipped) if moment), default=None)


def _started(schedule: Schedule, timetable: Timetable, start: datetime, now: datetime) -> Slot | None:
    """Its first session. What came due since it was made, and was not started yet, does not fall under the table."""
    first = timetable.first(start)
    if schedule.next_session_time is None or schedule.next_run_time is None or schedule.next_run_time > now:
        return first
    at_cursor = next(timetable.between(schedule.next_session_time, None), None)
    return min(filter(None, (first, at_cursor)), default=None)


def disable(schedule_id: int, *, now: datetime) -> bool:
    """Stop starting sessions. False: it was disabled already. Backfills go on working."""
    rows = Schedule.objects.filter(pk=schedule_id, disabled_at=None)
    return rows.update(disabled_at=now, updated_at=now) == 1


def enable(schedule_id: int, *, now: datetime) -> bool:
    """Start sessions again; those that came due meanwhile are caught up. False: it was enabled already."""
    rows = Schedule.objects.filter(pk=schedule_id, disabled_at__isnull=False)
    return rows.update(disabled_at=None, retry_at=None, updated_at=now) == 1


def enable_past(schedule_id: int, target: Target | None = None, *, now: datetime) -> Skipped:
    """Skip to `target`, or past what came due before `now`, if there is any; then enable.

    Raises what `skip` raises, but no SkipConflict without a target; the schedule is as it was then.
    """
    with transaction.atomic():
        try:
            skipped = skip(schedule_id, target or Target(now), now=now)
        except SkipConflict as conflict:
            if target:
                raise
            skipped = Skipped(conflict.schedule, [])
        enable(schedule_id, now=now)
        return skipped


def skip(
    schedule_id: int,
    target: Target,
    *,
    next_run_time: datetime | None = None,
    dry_run: bool = False,
    now: datetime,
) -> Skipped:
    """Move the schedule forward to `target`, without running the sessions before it.

    Each gets a `Skip`, but for those that were started before.
    `next_run_time` (aware) replaces the run time of the session that comes next. A dry run is the same, not stored.
    Raises ScheduleNotFound; SkipConflict when the target is not after the next session; InvalidInput naming the
    target's field, `count` or `next_run_time`. Nothing is written in any of these cases.
    """
    with transaction.atomic():
        schedule = locked(schedule_id)
        slot = reached(schedule, target)
        slots = passed_over(schedule, slot, target)
        schedule.next_session_time, schedule.next_run_time = slot or (None, None)
        if next_run_time is not None:
            schedule.next_run_time = checked_run_time(slot, next_run_time)
        if not dry_run:
            _record(schedule, slots, now)
        return Skipped(schedule, slots)


def assign_pool(schedule_id: int, pool_id: int | None, *, now: datetime) -> bool:
    """Let attempts that are made from now on share the slots of that pool; None: of no pool.

    False: it was so already. New revisions leave it as it is. Raises ScheduleNotFound; InvalidInput naming `pool_id`.
    """
    turns.known_pool(pool_id)
    with transaction.atomic():
        schedule = locked(schedule_id)
        changed = schedule.pool_id != pool_id
        if changed:
            schedule.pool_id = pool_id
            schedule.updated_at = now
            schedule.save(update_fields=["pool", "updated_at"])
        return changed


def due_meanwhile(schedule: Schedule, *, now: datetime) -> int:
    """How many sessions are due at `now` and have not been started; more than 10,000 are not counted.

    Raises TimetableError when the row holds no timetable.
    """
    if schedule.next_session_time is None:
        return 0
    count = 0
    for slot in islice(schedule.timetable.between(schedule.next_session_time, None), MOST_SKIPPED + 1):
        if slot.run_time > now:
            break
        count += 1
    return count


def reached(schedule: Schedule, target: Target) -> Slot | None:
    """The session that comes next after the skip; None when the timetable ends before."""
    if not 0 <= target.count <= MOST_SKIPPED:
        raise InvalidInput({"count": [f"Give a count from 1 to {MOST_SKIPPED}."]})
    timetable = schedule.timetable
    if slot := timetable.first(_instant(schedule, target)):
        slot = next(islice(timetable.between(slot.session_time, None), target.count, None), None)
    at = schedule.next_session_time
    if at is None or (slot is not None and slot.session_time <= at):
        raise SkipConflict(schedule)
    return slot


def passed_over(schedule: Schedule, slot: Slot | None, target: Target) -> list[Slot]:
    assert schedule.next_session_time
    until = slot.session_time if slot else None
    found = list(islice(schedule.timetable.between(schedule.next_session_time, until), MOST_SKIPPED + 1))
    if len(found) > MOST_SKIPPED:
        raise InvalidInput(
            {target.field: [f"There are more than {MOST_SKIPPED} sessions before it, the most at once."]}
        )
    return found


def checked_run_time(slot: Slot | None, next_run_time: datetime) -> datetime:
    at = in_utc(next_run_time)
    if at is None:
        fault = "Give a time with its offset from UTC, between the years 1 and 9999."
    elif slot is None:
        fault = "There is no session after the skip that could run."
    elif at < slot.session_time:
        fault = "It is before the session that is to run then."
    else:
        return at
    raise InvalidInput({"next_run_time": [fault]})


def _instant(schedule: Schedule, target: Target) -> datetime:
    """A local time that the clocks repeat is its first copy; one that they skip is as much later."""
    at = target.at if target.at.tzinfo else target.at.replace(tzinfo=zone(schedule.timezone))
    instant = in_utc(at)
    if instant is None:
        raise InvalidInput({target.field: ["Give a time between the years 1 and 9999."]})
    return instant


def _record(schedule: Schedule, slots: list[Slot], now: datetime) -> None:
    reason = SkipReason.DISABLED if schedule.disabled_at else SkipReason.REQUESTED
    there = _there(schedule, slots)
    times = [slot.session_time for slot in slots if slot.session_time not in there]
    skips = [Skip(schedule=schedule, session_time=time, reason=reason, created_at=now) for time in times]
    Skip.objects.bulk_create(skips, ignore_conflicts=True, batch_size=1000)
    schedule.version += 1
    schedule.updated_at = now
    schedule.save(update_fields=["next_session_time", "next_run_time", "version", "updated_at"])


def _there(schedule: Schedule, slots: list[Slot]) -> set[datetime]:
    """Session times of these slots, and others between, that have a session already: they were run, not skipped."""
    if not slots:
        return set()
    between = (slots[0].session_time, slots[-1].session_time)
    rows = Session.objects.filter(workflow=schedule.workflow_id, session_time__range=between)
    return set(rows.values_list("session_time", flat=True))
