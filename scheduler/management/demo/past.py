"""The demo's past: what each session came to, written as rows in bulk, with tasks and small logs.

`hourly_orders` misses the last weekend and failed in the night before today; `daily_report` failed on its last
days; `pulse` ran on. The first two are there to be backfilled.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from projects.models import Revision
from scheduler.execution.plan import plan
from scheduler.execution.task import Task
from scheduler.execution.tree import planned
from scheduler.models import Attempt, AttemptStatus, Lane, LogChunk, Schedule, Session, TaskRun, TaskState
from scheduler.timetable import Slot

PULSE_HOURS = 12
FAILED_DAYS = 5
SATURDAY, SUNDAY = 5, 6
BATCH = 2_000

LOGS = {
    "+hourly_orders+load": "loaded 4 lines\n",
    "+hourly_orders+check": "3 orders, 59 in all\n",
    "+hourly_orders+publish": "The orders of the hour are in.\n",
    "+daily_report+totals": "books: 21.00\nmusic: 9.50\ngames: 15.67\n",
    "+daily_report+publish+page": "The report of the day.\n",
    "+daily_report+publish+notify": "The report is out.\n",
    "+pulse+beat": "Still here.\n",
}


@dataclass(frozen=True)
class Failure:
    """How the failed sessions of a workflow ended: in which task, with what in its log, and why."""

    task: str
    log: str
    message: str


FAILURES = {
    "hourly_orders": Failure(
        "+hourly_orders+load", "connection to the shop refused\n", "The command ended with exit code 2."
    ),
    "daily_report": Failure("+daily_report+totals", "books: 21.00\n", "ZeroDivisionError: division by zero"),
}


@dataclass(frozen=True)
class Past:
    """One past session: its slot, the tasks that it had, and how it failed, if it did."""

    schedule: Schedule
    definition_id: int
    tasks: Sequence[Task]
    slot: Slot
    failure: Failure | None
    previous: datetime | None

    @property
    def started_at(self) -> datetime:
        return self.slot.run_time + timedelta(milliseconds=40)

    @property
    def finished_at(self) -> datetime:
        """Between 2 and 7 seconds later, and the same for the same session."""
        return self.started_at + timedelta(seconds=2 + int(self.slot.session_time.timestamp()) // 60 * 7 % 50 / 10)

    @property
    def failed_position(self) -> int:
        """Position of the task that failed; beyond the last one when none did."""
        failed = (task.position for task in self.tasks if self.failure and task.full_name == self.failure.task)
        return next(failed, len(self.tasks))


def insert_past(schedules: Iterable[Schedule], *, ran: Revision, since: datetime, now: datetime) -> None:
    """Write the past of `schedules` from `since` up to `now`, run by the definitions of `ran`, oldest first."""
    past = [item for schedule in schedules for item in _past(schedule, ran, since, now)]
    past.sort(key=lambda item: (item.slot.run_time, item.schedule.pk))
    sessions = Session.objects.bulk_create([_session(item) for item in past], batch_size=BATCH)
    attempts = Attempt.objects.bulk_create(map(_attempt, past, sessions), batch_size=BATCH)
    pairs = list(zip(past, attempts, strict=True))
    TaskRun.objects.bulk_create((row for pair in pairs for row in _tasks(*pair)), batch_size=BATCH)
    LogChunk.objects.bulk_create((row for pair in pairs for row in _log(*pair)), batch_size=BATCH)
    Schedule.objects.bulk_update(_moved(past), ["last_session_time"])


def _past(schedule: Schedule, ran: Revision, since: datetime, now: datetime) -> Iterator[Past]:
    name = schedule.workflow.name
    definition = ran.definitions.get(workflow=schedule.workflow_id)
    tasks = planned(plan(name, definition.document))
    start = max(since, now - timedelta(hours=PULSE_HOURS)) if name == "pulse" else since
    today = schedule.timetable.local(now).date()
    previous = None
    for slot in schedule.timetable.between(start, schedule.next_session_time):
        local = schedule.timetable.local(slot.session_time)
        days_ago = (today - local.date()).days
        if name == "hourly_orders" and _in_the_outage(local, days_ago):
            continue
        failure = FAILURES[name] if _failed(name, local, days_ago) else None
        yield Past(schedule, definition.pk, tasks, slot, failure, previous)
        previous = slot.session_time


def _in_the_outage(local: datetime, days_ago: int) -> bool:
    """From Saturday 02:00 to Sunday 22:00 of the last weekend that has been over for a whole day."""
    sunday_was_days_ago = days_ago - (SUNDAY - local.weekday())
    is_down = (local.weekday() == SATURDAY and local.hour >= 2) or (local.weekday() == SUNDAY and local.hour < 22)
    return is_down and 2 <= sunday_was_days_ago <= 8


def _failed(name: str, local: datetime, days_ago: int) -> bool:
    if name == "hourly_orders":
        return days_ago == 1 and local.hour < 7
    return name == "daily_report" and days_ago <= FAILED_DAYS


def _session(item: Past) -> Session:
    return Session(
        workflow_id=item.schedule.workflow_id, session_time=item.slot.session_time, created_at=item.slot.run_time
    )


def _attempt(item: Past, session: Session) -> Attempt:
    failure = item.failure
    return Attempt(
        session=session,
        workflow_id=item.schedule.workflow_id,
        definition_id=item.definition_id,
        index=1,
        lane=Lane.SCHEDULED,
        status=AttemptStatus.ERROR if failure else AttemptStatus.SUCCESS,
        reason={"message": failure.message, "task": failure.task} if failure else {},
        last_executed_session_time=item.previous,
        created_at=item.slot.run_time,
        released_at=item.slot.run_time,
        started_at=item.started_at,
        finished_at=item.finished_at,
        worker="demo",
        lease_token=1,
        deliveries=1,
    )


def _tasks(item: Past, attempt: Attempt) -> Iterator[TaskRun]:
    for task in item.tasks:
        state = _state(item, task)
        yield TaskRun(
            attempt=attempt,
            position=task.position,
            parent=task.parent.position if task.parent else None,
            upstreams=[upstream.position for upstream in task.upstreams],
            full_name=task.full_name,
            is_group=task.spec.is_group,
            config=dict(task.spec.config),
            state=state,
            error={"message": item.failure.message} if item.failure and state == TaskState.ERROR else {},
            started_at=None if state == TaskState.BLOCKED else item.started_at,
            updated_at=item.finished_at,
        )


def _state(item: Past, task: Task) -> TaskState:
    failed = item.failed_position
    if task.position == failed:
        return TaskState.ERROR
    if task.position > failed:
        return TaskState.BLOCKED
    around_it = any(inside.position == failed for inside in task.everything_inside())
    return TaskState.GROUP_ERROR if around_it else TaskState.SUCCESS


def _log(item: Past, attempt: Attempt) -> Iterator[LogChunk]:
    for task in item.tasks[: item.failed_position]:
        if text := LOGS.get(task.full_name):
            yield LogChunk(attempt=attempt, position=task.position, text=text, written_at=item.finished_at)
    if item.failure:
        text = f"{item.failure.log}{item.failure.message}\n"
        yield LogChunk(attempt=attempt, position=item.failed_position, text=text, written_at=item.finished_at)


def _moved(past: Iterable[Past]) -> list[Schedule]:
    """Each schedule, its last session time set."""
    last = {item.schedule: item.slot.session_time for item in past}
    for schedule, session_time in last.items():
        schedule.last_session_time = session_time
    return list(last)
