"""What became of an attempt's tasks, and their log, written only while the lease holds.

Every transaction here first moves or locks the attempt's row with a condition on the lease token, and writes nothing
when that row is not there: an old worker is fenced by the database, not by its own good will. Few writes: what
happens in memory alone (`echo>`) waits for the next write, so that an attempt of one task takes two or three
transactions. Tasks are upserted, so that a write whose answer was lost can be repeated.

Nothing that waits here is lost in silence: while the database is away, writes are repeated until the lease ends.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Sum
from django.db.models.functions import Length

from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.crashpoints import crashpoint
from scheduler.execution.lease import Canceled, Lease, LeaseLost
from scheduler.execution.log import AttemptLog
from scheduler.execution.plan import Step
from scheduler.models import AttemptStatus, LogChunk, TaskRun, TaskState

AGAIN_SECONDS = 0.5
FLUSH_BYTES = 64 * 1024
FLUSH_SECONDS = 1.0

Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)


@dataclass
class Row:
    """What became of one step so far."""

    step: Step
    state: TaskState = TaskState.BLOCKED
    error: Mapping[str, Any] = field(default_factory=dict)
    stored: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class Resumed:
    """The attempt whose finished tasks are not run again; those from `position` on are, whatever became of them."""

    attempt_id: int
    position: int | None = None

    def rows(self, steps: Sequence[Step]) -> dict[int, Row]:
        """The tasks that count as done, where they still stand at the same place under the same name."""
        there = TaskRun.objects.filter(
            attempt=self.attempt_id, state=TaskState.SUCCESS, position__lt=len(steps), position__gt=0
        )
        return {
            task.position: Row(step, TaskState.SUCCESS, {}, task.store_params, task.started_at, task.updated_at)
            for task in there
            if (step := steps[task.position]).full_name == task.full_name
            and (self.position is None or step.last < self.position)
        }


class Journal:
    """The tasks of one attempt. Nothing is written before `save`, `flush` or one of the ends."""

    def __init__(
        self, *, lease: Lease, steps: Sequence[Step], clock: Clock, delivery: int, resumed: "Resumed | None" = None
    ) -> None:
        self._claim = lease.claim
        self._lease = lease
        self._clock = clock
        self._steps = steps
        earlier = self._earlier() if delivery > 1 else {}
        # The first write holds every task, so what the attempt resumes is asked only while it has none of its own.
        before = earlier or (resumed.rows(steps) if resumed else {})
        self._rows = [before.get(step.position) or Row(step) for step in steps]
        self._changed = {step.position for step in steps if step.position not in earlier}
        began = clock()
        for row in self._rows:
            row.updated_at = row.updated_at or began
        written = self._written_bytes() if delivery > 1 else 0
        self.log = AttemptLog(limit=settings.HINDCAST_LOG_LIMIT_BYTES, written=written)
        self._flushed_at = time.monotonic()

    def succeeded(self, step: Step) -> bool:
        """Did an earlier delivery already finish this task?"""
        return self._rows[step.position].state == TaskState.SUCCESS

    def stored(self) -> dict[int, Mapping[str, Any]]:
        """What finished tasks gave back, by position."""
        return {row.step.position: row.stored for row in self._rows if row.stored}

    def start(self, step: Step) -> None:
        self.log.begin(step.position)
        self._move(step, TaskState.PLANNED if step.is_group else TaskState.RUNNING)

    def finish(self, step: Step, stored: Mapping[str, Any]) -> None:
        """The task succeeded, and with it each group that it was the last of."""
        self._rows[step.position].stored = stored
        self._move(step, TaskState.SUCCESS)
        for group in step.path:
            if group.last == step.position:
                self._move(group, TaskState.SUCCESS)

    def save(self) -> None:
        """Write what waits. Raises LeaseLost, and Canceled when the attempt is to be killed."""
        self._persist(self._save)
        if self._lease.canceled:
            raise Canceled

    def flush(self) -> None:
        """Write the log now and then. Raises LeaseLost; the database being away just makes it wait."""
        self._lease.check()
        old = time.monotonic() - self._flushed_at >= FLUSH_SECONDS
        if self.log.waiting_bytes and (old or self.log.waiting_bytes >= FLUSH_BYTES):
            self._flushed_at = time.monotonic()
            try:
                self._save()
            except (OperationalError, InterfaceError) as error:
                self._reconnect(error)

    def succeed(self) -> None:
        """The attempt is done. Raises LeaseLost."""
        self.log.begin(0)
        self._persist(lambda: self._close(lambda: attempts.succeed(self._claim, now=self._clock())))

    def fail(self, step: Step, error: Mapping[str, Any]) -> None:
        """The task failed, and with it the groups around it and the attempt. Raises LeaseLost."""
        self._rows[step.position].error = error
        self._move(step, TaskState.ERROR)
        for group in step.path:
            self._move(group, TaskState.GROUP_ERROR)
        self._fail({**error, "task": step.full_name})

    def cancel(self, reason: Mapping[str, Any]) -> None:
        """The attempt was killed; whatever had not ended is canceled. Raises LeaseLost."""
        for step in self._steps:
            if self._rows[step.position].state not in (TaskState.SUCCESS, TaskState.ERROR):
                self._move(step, TaskState.CANCELED)
        self._fail(reason)

    def _fail(self, reason: Mapping[str, Any]) -> None:
        self.log.begin(0)
        kept = dict(reason)
        self._persist(lambda: self._close(lambda: attempts.fail(self._claim, reason=kept, now=self._clock())))

    def _earlier(self) -> dict[int, "Row"]:
        """Tasks as an earlier delivery left them."""
        there = TaskRun.objects.filter(attempt=self._claim.attempt_id, position__lt=len(self._steps))
        return {
            task.position: Row(
                self._steps[task.position], TaskState(task.state), task.error, task.store_params, task.started_at
            )
            for task in there
        }

    def _written_bytes(self) -> int:
        chunks = LogChunk.objects.filter(attempt=self._claim.attempt_id)
        return chunks.aggregate(size=Sum(Length("text")))["size"] or 0

    def _move(self, step: Step, state: TaskState) -> None:
        row = self._rows[step.position]
        row.state = state
        row.updated_at = self._clock()
        if state in (TaskState.RUNNING, TaskState.PLANNED):
            row.started_at = row.updated_at
        self._changed.add(step.position)

    def _persist(self, write: Callable[[], None]) -> None:
        """Repeat `write` while the database is away. Raises LeaseLost when the lease ends first."""
        while True:
            self._lease.check()
            try:
                write()
            except (OperationalError, InterfaceError) as error:
                self._reconnect(error)
                time.sleep(AGAIN_SECONDS)
            else:
                return

    def _save(self) -> None:
        with transaction.atomic():
            status = _lock(self._lease.claim)
            if status is None:
                raise LeaseLost
            self._write()
        self._all_written()
        if status == AttemptStatus.CANCELING:
            self._lease.cancel()

    def _close(self, end: Callable[[], bool]) -> None:
        with transaction.atomic():
            if not end():
                raise LeaseLost
            self._write()
        crashpoint("journal.after_finish")
        self._all_written()

    def _write(self) -> None:
        """Both inserts hold for the transaction that has just made sure of the lease."""
        with connection.cursor() as cursor:
            if self._changed:
                rows = [self._rows[position] for position in sorted(self._changed)]
                cursor.execute(*_tasks(self._claim.attempt_id, rows))
            if chunks := self.log.waiting():
                cursor.execute(*_chunks(self._claim.attempt_id, chunks, self._clock()))

    def _all_written(self) -> None:
        self._changed.clear()
        self.log.written()

    def _reconnect(self, error: Exception) -> None:
        log.warning("database_away", attempt=self._claim.attempt_id, error=str(error))
        connection.close()


# Written by hand, since every attempt passes here: the ORM's bulk_create takes more time than the database does.


def _lock(claim: Claim) -> str | None:
    """The attempt's status, its row locked, while `claim` holds it."""
    mode = "FOR NO KEY UPDATE" if connection.features.has_select_for_no_key_update else ""
    statement = f"""
        SELECT status FROM scheduler_attempt
         WHERE id = %s AND lease_token = %s AND status IN ('running', 'canceling') {mode}
    """  # noqa: S608 - only the mode is put in
    with connection.cursor() as cursor:
        cursor.execute(statement, [claim.attempt_id, claim.token])
        row: tuple[str] | None = cursor.fetchone()
    return row[0] if row else None


def _tasks(attempt_id: int, rows: Sequence[Row]) -> tuple[str, list[Any]]:
    values: list[Any] = []
    for row in rows:
        step = row.step
        values += [
            attempt_id,
            step.position,
            step.parent,
            _json(step.upstreams),
            step.full_name,
            step.is_group,
            _json(step.config),
            row.state.value,
            _json(row.error),
            _json(step.exports),
            _json(row.stored),
            _moment(row.started_at),
            _moment(row.updated_at),
        ]
    marks = f"({', '.join(['%s'] * 13)})"
    statement = f"""
        INSERT INTO scheduler_taskrun
               (attempt_id, position, parent, upstreams, full_name, is_group, config, state, error,
                export_params, store_params, started_at, updated_at)
        VALUES {", ".join([marks] * len(rows))}
        ON CONFLICT (attempt_id, position) DO UPDATE
           SET state = excluded.state, error = excluded.error, store_params = excluded.store_params,
               started_at = excluded.started_at, updated_at = excluded.updated_at
    """  # noqa: S608 - only marks are put in
    return statement, values


def _chunks(attempt_id: int, chunks: Sequence[tuple[int, str]], now: datetime) -> tuple[str, list[Any]]:
    statement = f"""
        INSERT INTO scheduler_logchunk (attempt_id, position, text, written_at)
        VALUES {", ".join(["(%s, %s, %s, %s)"] * len(chunks))}
    """  # noqa: S608 - only marks are put in
    return statement, [value for position, text in chunks for value in (attempt_id, position, text, _moment(now))]


def _json(value: object) -> str:
    return json.dumps(value)


def _moment(instant: datetime | None) -> object:
    return connection.ops.adapt_datetimefield_value(instant)
