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
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import structlog
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import Sum

from projects.masking import Known
from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.away import database_is_away
from scheduler.crashpoints import crashpoint
from scheduler.execution.lease import Canceled, Lease, LeaseLost
from scheduler.execution.log import AttemptLog
from scheduler.execution.plan import Spec
from scheduler.execution.task import Before, Task
from scheduler.execution.tree import Tree
from scheduler.models import AttemptStatus, LogChunk, TaskRun, TaskState
from scheduler.models.log import Bytes

AGAIN_SECONDS = 0.5
FLUSH_BYTES = 64 * 1024
FLUSH_SECONDS = 1.0
BATCH = 500  # tasks in one statement; SQLite takes 32,766 values

Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Resumed:
    """The attempt whose finished tasks are not run again; those from `position` on are, whatever became of them."""

    attempt_id: int
    position: int | None = None

    def tasks(self) -> dict[str, Before]:
        """What succeeded there, by full name."""
        there = TaskRun.objects.filter(attempt=self.attempt_id, state=TaskState.SUCCESS, position__gt=0)
        return {task.full_name: left(task, position=None) for task in there}


def left(task: TaskRun, *, position: int | None) -> Before:
    return Before(
        position,
        TaskState(task.state),
        task.store_params,
        task.error,
        task.state_params,
        task.retry_at,
        task.started_at,
        task.updated_at,
    )


class Journal:
    """The tasks of one attempt, and their log. Nothing is written before `save`, `flush` or one of the ends."""

    def __init__(
        self,
        *,
        lease: Lease,
        root: Spec,
        clock: Clock,
        again: bool,
        resumed: "Resumed | None" = None,
        secrets: Known | None = None,
    ) -> None:
        self._claim = lease.claim
        self._lease = lease
        self._clock = clock
        # The first write holds every task, so what the attempt resumes is asked only while it has none of its own.
        earlier = self._earlier() if again else {}
        if earlier or not resumed:
            self.tree = Tree(root, before=earlier, now=clock())
        else:
            self.tree = Tree(root, before=resumed.tasks(), again_from=resumed.position, now=clock())
        written = self._written_bytes() if again else 0
        self.log = AttemptLog(limit=settings.HINDCAST_LOG_LIMIT_BYTES, written=written, secrets=secrets)
        self._flushed_at = time.monotonic()

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
            except Error as error:
                self._reconnect(error)

    def succeed(self) -> None:
        """The attempt is done. Raises LeaseLost."""
        self._persist(lambda: self._close(lambda: attempts.succeed(self._claim, now=self._clock())))

    def fail(self, reason: Mapping[str, Any]) -> None:
        """The attempt failed, or was killed. Raises LeaseLost."""
        kept = dict(reason)
        self._persist(lambda: self._close(lambda: attempts.fail(self._claim, reason=kept, now=self._clock())))

    def park(self, seconds: float) -> None:
        """Nothing can be done for a while: another delivery goes on. Raises LeaseLost, and Canceled."""
        self._persist(lambda: self._close(lambda: self._park(seconds)))

    def _park(self, seconds: float) -> bool:
        if attempts.park(self._claim, seconds=seconds):
            return True
        if _lock(self._claim) == AttemptStatus.CANCELING:
            self._lease.cancel()
            raise Canceled
        return False

    def _earlier(self) -> dict[str, Before]:
        """Tasks as an earlier delivery left them."""
        there = TaskRun.objects.filter(attempt=self._claim.attempt_id)
        return {task.full_name: left(task, position=task.position) for task in there}

    def _written_bytes(self) -> int:
        chunks = LogChunk.objects.filter(attempt=self._claim.attempt_id)
        return chunks.aggregate(size=Sum(Bytes("text")))["size"] or 0

    def _persist(self, write: Callable[[], None]) -> None:
        """Repeat `write` while the database is away. Raises LeaseLost when the lease ends first."""
        while True:
            self._lease.check()
            try:
                write()
            except Error as error:
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
            changed = sorted(self.tree.changed, key=attrgetter("position"))
            for batch in (changed[start : start + BATCH] for start in range(0, len(changed), BATCH)):
                cursor.execute(*_tasks(self._claim.attempt_id, batch))
            if chunks := self.log.waiting():
                cursor.execute(*_chunks(self._claim.attempt_id, chunks, self._clock()))

    def _all_written(self) -> None:
        self.tree.changed.clear()
        self.log.written()

    def _reconnect(self, error: Error) -> None:
        """The next statement has a new connection. Raises `error` when that would not help."""
        if not database_is_away(error):
            raise error
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


def _tasks(attempt_id: int, tasks: Sequence[Task]) -> tuple[str, list[Any]]:
    values: list[Any] = []
    for task in tasks:
        values += [
            attempt_id,
            task.position,
            task.parent.position if task.parent else None,
            _json([upstream.position for upstream in task.upstreams]),
            task.full_name,
            task.spec.is_group,
            _json(task.spec.config),
            task.state.value,
            _json(task.error),
            _json({**task.spec.exports, **task.variables}),
            _json(task.stored),
            _json(task.kept),
            _moment(task.retry_at),
            _moment(task.started_at),
            _moment(task.updated_at),
        ]
    marks = f"({', '.join(['%s'] * 15)})"
    statement = f"""
        INSERT INTO scheduler_taskrun
               (attempt_id, position, parent, upstreams, full_name, is_group, config, state, error,
                export_params, store_params, state_params, retry_at, started_at, updated_at)
        VALUES {", ".join([marks] * len(tasks))}
        ON CONFLICT (attempt_id, position) DO UPDATE
           SET state = excluded.state, error = excluded.error, store_params = excluded.store_params,
               state_params = excluded.state_params, retry_at = excluded.retry_at,
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
