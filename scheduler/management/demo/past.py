"""The demo's past: what each session came to, written as rows in bulk, with tasks and small logs.

`hourly_orders` misses the last weekend and failed in the night before today; `daily_report` failed on its last five
days; `pulse` ran on. The first two are there to be backfilled.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from projects.models import Revision, WorkflowDefinition
from scheduler.models import (
    Attempt,
    AttemptStatus,
    Lane,
    LogChunk,
    Schedule,
    Session,
    TaskRun,
    TaskState,
)
from scheduler.timetable import Slot

PULSE_HOURS = 12
FAILED_DAYS = 5
SATURDAY, SUNDAY = 5, 6
BATCH = 2_000


@dataclass(frozen=True)
class Step:
    """One task of a demo workflow: its name below the workflow's, what it writes, and the positions around it."""

    name: str
    log: str = ""
    fails_with: str = ""
    is_group: bool = False
    parent: int = 0
    after: tuple[int, ...] = ()


STEPS = {
    "hourly_orders": [
        Step("+load", "loaded 4 lines\n"),
        Step("+check", "3 orders, 59 in all\n", after=(1,)),
        Step("+publish", "The orders of the hour are in.\n", after=(2,)),
    ],
    "daily_report": [
        Step("+totals", "books: 21.00\nmusic: no sales\ngames: 15.67\n"),
        Step("+publish", is_group=True, after=(1,)),
        Step("+publish+page", "The page of the day.\n", parent=2),
        Step("+publish+notify", "The report is out.\n", parent=2, after=(3,)),
    ],
    "pulse": [Step("+beat", "Still here.\n")],
}
FAILURES = {
    "hourly_orders": Step("+load", "connection to the shop refused\n", "The command ended with exit code 2."),
    "daily_report": Step("+totals", "books: 21.00\n", "ZeroDivisionError: division by zero"),
}


@dataclass(frozen=True)
class Ran:
    """One past session of the demo: the slot, and the step that failed, if one did."""

    schedule: Schedule
    definition: WorkflowDefinition
    slot: Slot
    failure: Step | None
    previous: datetime | None


def insert_past(schedules: Iterable[Schedule], *, ran: Revision, since: datetime, now: datetime) -> None:
    """Write the past of `schedules` from `since` up to `now`, run by the definitions of `ran`, oldest first."""
    definitions = {definition.workflow_id: definition for definition in ran.definitions.all()}
    past = [item for schedule in schedules for item in _past(schedule, definitions[schedule.workflow_id], since, now)]
    past.sort(key=lambda item: (item.slot.run_time, item.schedule.pk))
    sessions = Session.objects.bulk_create([_session(item) for item in past], batch_size=BATCH)
    attempts = Attempt.objects.bulk_create(map(_attempt, past, sessions), batch_size=BATCH)
    pairs = list(zip(past, attempts, strict=True))
    TaskRun.objects.bulk_create((row for pair in pairs for row in _tasks(*pair)), batch_size=BATCH)
    LogChunk.objects.bulk_create((row for pair in pairs for row in _log(*pair)), batch_size=BATCH)
    Schedule.objects.bulk_update(_moved({item.schedule: item for item in past}), ["last_session_time"])


def _past(schedule: Schedule, definition: WorkflowDefinition, since: datetime, now: datetime) -> Iterator[Ran]:
    name = schedule.workflow.name
    previous = None
    start = max(since, now - timedelta(hours=PULSE_HOURS)) if name == "pulse" else since
    for slot in schedule.timetable.between(start, schedule.next_session_time):
        local = schedule.timetable.local(slot.session_time)
        days_ago = (schedule.timetable.local(now).date() - local.date()).days
        if name == "hourly_orders" and _in_the_outage(local, days_ago):
            continue
        fails = (name == "hourly_orders" and days_ago == 1 and local.hour < 7) or (
            name == "daily_report" and days_ago <= FAILED_DAYS
        )
        yield Ran(schedule, definition, slot, FAILURES[name] if fails else None, previous)
        previous = slot.session_time


def _in_the_outage(local: datetime, days_ago: int) -> bool:
    """From Saturday 02:00 to Sunday 22:00 of the last weekend that is over for a day at least."""
    sunday = local.date() + timedelta(days=SUNDAY - local.weekday())
    over_for = days_ago - (sunday - local.date()).days
    is_down = (local.weekday() == SATURDAY and local.hour >= 2) or (local.weekday() == SUNDAY and local.hour < 22)
    return is_down and 2 <= over_for <= 8


def _moved(last: dict[Schedule, Ran]) -> list[Schedule]:
    for schedule, item in last.items():
        schedule.last_session_time = item.slot.session_time
    return list(last)


def _session(item: Ran) -> Session:
    return Session(
        workflow_id=item.schedule.workflow_id, session_time=item.slot.session_time, created_at=item.slot.run_time
    )


def _attempt(item: Ran, session: Session) -> Attempt:
    started_at, finished_at = _times(item)
    failure = item.failure
    return Attempt(
        session=session,
        definition=item.definition,
        index=1,
        lane=Lane.SCHEDULED,
        status=AttemptStatus.ERROR if failure else AttemptStatus.SUCCESS,
        reason={"message": failure.fails_with, "task": _full_name(item, failure)} if failure else {},
        last_executed_session_time=item.previous,
        created_at=item.slot.run_time,
        released_at=item.slot.run_time,
        started_at=started_at,
        finished_at=finished_at,
        worker="worker@demo",
        lease_token=1,
        deliveries=1,
    )


def _times(item: Ran) -> tuple[datetime, datetime]:
    """When it started and finished: 40 ms after its time, and between 2 and 7 s long, without a die."""
    started_at = item.slot.run_time + timedelta(milliseconds=40)
    length = 2 + int(item.slot.session_time.timestamp()) // 60 * 7 % 50 / 10
    return started_at, started_at + timedelta(seconds=length)


def _tasks(item: Ran, attempt: Attempt) -> Iterator[TaskRun]:
    started_at, finished_at = _times(item)
    steps = STEPS[item.schedule.workflow.name]
    failed_at = next((place for place, step in enumerate(steps, start=1) if _fails(item, step)), len(steps) + 1)
    yield TaskRun(
        attempt=attempt,
        position=0,
        full_name=f"+{item.schedule.workflow.name}",
        is_group=True,
        state=TaskState.GROUP_ERROR if item.failure else TaskState.SUCCESS,
        started_at=started_at,
        updated_at=finished_at,
    )
    for position, step in enumerate(steps, start=1):
        yield TaskRun(
            attempt=attempt,
            position=position,
            parent=step.parent,
            upstreams=list(step.after),
            full_name=_full_name(item, step),
            is_group=step.is_group,
            state=_state(position, failed_at),
            error={"message": item.failure.fails_with} if item.failure and position == failed_at else {},
            started_at=started_at if position <= failed_at else None,
            updated_at=finished_at,
        )


def _state(position: int, failed_at: int) -> TaskState:
    if position == failed_at:
        return TaskState.ERROR
    return TaskState.SUCCESS if position < failed_at else TaskState.BLOCKED


def _log(item: Ran, attempt: Attempt) -> Iterator[LogChunk]:
    _, finished_at = _times(item)
    for position, step in enumerate(STEPS[item.schedule.workflow.name], start=1):
        if item.failure and _fails(item, step):
            text = f"{item.failure.log}{item.failure.fails_with}\n"
            yield LogChunk(attempt=attempt, position=position, text=text, written_at=finished_at)
            return
        if step.log:
            yield LogChunk(attempt=attempt, position=position, text=step.log, written_at=finished_at)


def _fails(item: Ran, step: Step) -> bool:
    return item.failure is not None and item.failure.name == step.name


def _full_name(item: Ran, step: Step) -> str:
    return f"+{item.schedule.workflow.name}{step.name}"
