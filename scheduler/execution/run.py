"""Runs one claim: the tasks of the definition, one after the other, to the end of the attempt."""

import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from projects.masking import Known
from projects.models import WorkflowDefinition
from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.away import database_is_away
from scheduler.errors import HindcastError
from scheduler.execution import storable
from scheduler.execution.beside import Answer, Beside
from scheduler.execution.child import Child, environment
from scheduler.execution.journal import Clock, Journal, Resumed
from scheduler.execution.lease import Canceled, Lease, LeaseLost, order
from scheduler.execution.log import TaskLog
from scheduler.execution.masked_logs import masked_logs
from scheduler.execution.operators import OPERATORS
from scheduler.execution.operators.base import Context, Outcome, TaskFailed, TryLater
from scheduler.execution.others import OtherWorkflows
from scheduler.execution.plan import PlanRefused, Spec, plan
from scheduler.execution.secrets import AttemptSecrets
from scheduler.execution.task import ERROR, FAILED, Task
from scheduler.execution.template import TemplateError, render
from scheduler.execution.variables import BuiltIns, Variables, plain
from scheduler.execution.workspace import Workspace
from scheduler.models import Schedule, TaskState
from scheduler.timetable import TimetableError

SAME_MOMENT_SECONDS = 0.2
# How often what runs beside this thread is looked at, for the log to be read while it grows.
LOOK_SECONDS = 1.0
# How long a wait may be for the worker to sit it out; attempts with longer ones go back into the queue.
MOMENT_SECONDS = 1.0
# How long a kill waits for tasks that run at the same time: what SIGTERM did not end, SIGKILL has by then.
CANCEL_SECONDS = 12.0

log = structlog.get_logger(__name__)


def run(lease: Lease, *, clock: Clock) -> None:
    """Run the attempt of a claim that was just taken, until it is done or the lease is lost.

    Whatever the workflow does ends the attempt, with the reason kept as data. Losing the lease ends nothing here:
    the attempt is somebody else's by then. Raises what Django raises when the database is away from the start.
    """
    with masked_logs() as known:
        _guarded(lease, known, clock)


def _guarded(lease: Lease, known: Known, clock: Clock) -> None:
    try:
        _run(lease, known, clock)
    except LeaseLost:
        log.warning("lease_lost", attempt=lease.claim.attempt_id)
        if lease.given_up:
            attempts.give_back(lease.claim, now=clock())
    except SystemExit:  # the prefork pool ends this process
        connection.close()  # whatever it was in the middle of
        attempts.give_back(lease.claim, now=clock())
        raise
    except Exception as error:
        if database_is_away(error):
            raise
        # Our own fault: the attempt must not hang until three workers have met it.
        log.exception("attempt_broke", attempt=lease.claim.attempt_id)
        reason: dict[str, object] = {"message": f"Hindcast could not run this attempt: {type(error).__name__}."}
        attempts.abandon(lease.claim, reason=reason, now=clock())


def _run(lease: Lease, known: Known, clock: Clock) -> None:
    facts = Facts.of(lease.claim)
    definition = definition_of(facts.definition_id)
    if isinstance(definition.root, PlanRefused):
        refused = definition.root
        attempts.fail(lease.claim, reason={"message": refused.message, "task": refused.task}, now=clock())
        return
    secrets = AttemptSecrets(definition.project_id, known)
    if facts.again or facts.resumed:
        secrets.learn()
    journal = Journal(
        lease=lease, root=definition.root, clock=clock, again=facts.again, resumed=facts.resumed, secrets=known
    )
    workspace = Workspace(lease.claim, definition.archive)
    try:
        _Run(lease, facts, definition, journal, workspace, secrets, clock).to_the_end()
    finally:
        workspace.remove()


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


class _Run:
    """One attempt under way."""

    def __init__(
        self,
        lease: Lease,
        facts: Facts,
        definition: Definition,
        journal: Journal,
        workspace: Workspace,
        secrets: AttemptSecrets,
        clock: Clock,
    ) -> None:
        self._lease = lease
        self._facts = facts
        self._journal = journal
        self._tree = journal.tree
        self._workspace = workspace
        self._archive = definition.archive
        self._secrets = secrets
        self._clock = clock
        self._beside = Beside()
        self._built_ins = BuiltIns(
            plain=plain(
                timezone=definition.timezone,
                session_id=facts.session_id,
                session_uuid=facts.session_uuid,
                attempt_id=facts.attempt_id,
                attempt_name=facts.name,
                project_id=definition.project_id,
            ),
            timezone=definition.timezone,
            session_time=facts.session_time,
            last_executed_session_time=facts.last_executed_session_time,
            neighbours=partial(neighbours, definition.workflow_id, facts.session_time),
        )

    def to_the_end(self) -> None:
        """Run what is ready until nothing is left, or until it has to wait for longer than a worker should."""
        try:
            while not self._tree.done:
                self._checked()
                self._turn()
        except Canceled:
            self._cancel()
        except _Parked:
            return
        except BaseException:
            self._lease.lose()  # for what still runs beside this thread
            raise
        else:
            self._close()

    def _turn(self) -> None:
        """Start one task, or hear of one that ended, or wait."""
        if self._tree.ready and self._beside.has_room:
            self._start(self._tree.take(self._clock()))
        elif self._beside:
            self._hear()
        else:
            self._wait()

    def _start(self, task: Task) -> None:
        """In this thread, unless another task can run meanwhile."""
        operator = OPERATORS[task.spec.operator]
        if not operator.in_process:
            self._journal.save()
        alone = not self._tree.ready and not self._beside
        if operator.in_process or alone:
            self._apply(task, self._outcome(task, every_second=self._journal.flush))
        else:
            self._beside.start(task, partial(self._outcome, task, every_second=self._lease.check))

    def _hear(self) -> None:
        """What became of a task that ran beside this thread."""
        for task, outcome in self._beside.ended(LOOK_SECONDS):
            self._apply(task, outcome)
        self._journal.flush()

    def _apply(self, task: Task, outcome: Answer) -> None:
        now = self._clock()
        if isinstance(outcome, TryLater):
            self._tree.try_later(task, outcome.kept, at=now + timedelta(seconds=outcome.seconds), now=now)
        elif isinstance(outcome, Outcome):
            self._tree.succeed(task, outcome.stored, outcome.made, now)
        elif self._lease.canceled:
            raise Canceled
        else:
            self._tree.fail(task, self._secrets.masked(_facts(outcome)), now)

    def _outcome(self, task: Task, *, every_second: Callable[[], None]) -> Answer:
        """Run the task's operator. Raises LeaseLost, and what is our own fault."""
        log = self._journal.log.of(task.position)
        operator = OPERATORS[task.spec.operator]
        try:
            outcome = operator.run(self._context(task, log, every_second))
            return outcome if operator.in_process else self._without_secrets(outcome, log)
        except HindcastError as error:
            return error
        finally:
            log.close()

    def _without_secrets(self, outcome: Outcome, log: TaskLog) -> Outcome:
        """What came from outside, as it is kept and shown: later tasks ask for a secret themselves."""
        masked = self._secrets.masked_outcome(outcome)
        if masked is not outcome:
            log.write(b"[A secret was in the result; later tasks see *** in its place.]\n")
        return masked

    def _context(self, task: Task, log: TaskLog, every_second: Callable[[], None]) -> Context:
        variables = Variables(task=task, built_ins=self._built_ins, params=self._facts.params)
        return Context(
            command=task.spec.command,
            config=task.spec.config,
            kept=task.kept,
            folder=task.folder,
            now=self._clock(),
            variables=variables,
            exported=variables.exported,
            section=variables.section,
            write=log.write,
            workspace=partial(self._workspace.path, task.folder),
            spawn=partial(self._spawn, log, task.folder, every_second),
            others=OtherWorkflows(self._facts.definition_id, self._facts.attempt_id, self._archive, self._clock),
            secret=self._secrets.reveal,
            revealed=partial(render, lookup=variables.__getitem__, reveal=self._secrets.reveal),
        )

    def _spawn(
        self,
        log: TaskLog,
        inside: str,
        every_second: Callable[[], None],
        command: str,
        arguments: Sequence[str] = (),
        *,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        timeout: float | None = None,
    ) -> int:
        """`Spawn` of the operators: under the lease, in the workspace, with what every child is told."""
        home, folder = self._workspace.path(), self._workspace.path(inside)
        session_time = str(self._built_ins["session_time"])
        more = {"SESSION_TIME": session_time, "ATTEMPT_ID": str(self._facts.attempt_id), **env}
        child = Child(command, arguments, cwd=folder, env=environment(home, more), pass_fds=pass_fds)
        try:
            with self._lease.over(child):
                code = child.wait(log.write, every_second, timeout=timeout)
        finally:
            child.close()
        self._lease.check()
        if child.timed_out and not self._lease.canceled:
            raise TaskFailed(f"It took longer than {timeout:g} s, and was ended.", timeout=timeout)
        if code == -signal.SIGTERM:
            self._ended_with_the_worker()
        if code < 0:
            name = signal.Signals(-code).name
            raise TaskFailed(f"The command was ended by {name}.", signal=name)
        return code

    def _ended_with_the_worker(self) -> None:
        """Somebody ends the worker and its commands alike, as systemd does: no failure of the command.

        Raises LeaseLost then, for the attempt to be given back.
        """
        time.sleep(SAME_MOMENT_SECONDS)
        if order() and not self._lease.canceled:
            self._lease.given_up = True
            self._lease.lose()
            self._lease.check()

    def _checked(self) -> None:
        self._lease.check()
        if self._lease.canceled:
            raise Canceled

    def _wait(self) -> None:
        """Nothing is ready and nothing runs. A wait of more than a moment leaves the worker to others."""
        now = self._clock()
        assert self._tree.wakes_at is not None, "a task that has not ended runs, is ready, or waits"
        seconds = (self._tree.wakes_at - now).total_seconds()
        if seconds > MOMENT_SECONDS:
            self._journal.park(seconds)
            raise _Parked
        time.sleep(max(seconds, 0.0))
        self._tree.wake(self._clock())

    def _cancel(self) -> None:
        """What runs beside this thread has been told to end. What has no child, and goes on, is not waited for."""
        for task, outcome in self._beside.ended(CANCEL_SECONDS, everything=True):
            if isinstance(outcome, Outcome):
                self._tree.succeed(task, outcome.stored, None, self._clock())
        self._tree.cancel(self._clock())
        self._journal.fail({"message": "Killed on request."})

    def _close(self) -> None:
        if self._tree.root.state == TaskState.SUCCESS:
            self._journal.succeed()
        else:
            self._journal.fail({**self._tree.root.error, "task": first_failure(self._tree.root).full_name})


class _Parked(Exception):  # noqa: N818 - named as the fact
    """The attempt waits in the queue."""


def first_failure(task: Task) -> Task:
    """The innermost task whose failure became that of `task`."""
    inside = [child for child in (*task.children, *task.made) if child.state in FAILED and child.kind != ERROR]
    return first_failure(inside[0]) if inside else task


def _facts(error: HindcastError) -> dict[str, object]:
    """A failure as data, fit for every database."""
    facts: dict[str, object] = {"message": storable.text(error.message)}
    if isinstance(error, TaskFailed):
        facts.update(error.facts)
    elif isinstance(error, TemplateError):
        facts["variable"] = storable.text(error.reference)
    return facts


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
