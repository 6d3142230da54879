"""Runs one claim: the tasks of the definition, one after the other, to the end of the attempt."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

import structlog
from django.db import connection

from projects.masking import Known
from scheduler import attempts, dispatch
from scheduler.away import database_is_away
from scheduler.errors import HindcastError
from scheduler.execution import storable
from scheduler.execution.beside import Answer, Beside
from scheduler.execution.child import Child, environment, signal_name
from scheduler.execution.facts import Definition, Facts, definition_of, neighbours
from scheduler.execution.journal import Clock, Journal
from scheduler.execution.lease import Canceled, Lease, LeaseLost, order
from scheduler.execution.log import TaskLog
from scheduler.execution.masked_logs import masked_logs
from scheduler.execution.operators import OPERATORS
from scheduler.execution.operators.base import Context, Outcome, TaskFailed, TryLater
from scheduler.execution.others import OtherWorkflows
from scheduler.execution.plan import PlanRefused
from scheduler.execution.secrets import AttemptSecrets
from scheduler.execution.task import ENDED, ERROR, FAILED, Task
from scheduler.execution.template import TemplateError, render
from scheduler.execution.variables import BuiltIns, Variables, plain
from scheduler.execution.workspace import Workspace
from scheduler.models import TaskState

SAME_MOMENT_SECONDS = 0.2
TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)  # the second by those that answer it themselves, such as Java
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
        """Wake what has waited, or start one task, or hear of one that ended, or wait."""
        now = self._clock()
        if (wakes_at := self._tree.wakes_at) and wakes_at <= now:
            self._tree.wake(now)
        elif self._tree.ready and self._beside.has_room:
            self._start(self._tree.take(now))
        elif self._beside:
            self._hear()
        else:
            self._wait()

    def _start(self, task: Task) -> None:
        """In this thread, unless another task can run meanwhile, now or once it has waited."""
        operator = OPERATORS[task.spec.operator]
        if not operator.in_process:
            self._journal.save()
        alone = not self._tree.ready and not self._beside and self._tree.wakes_at is None
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
            others=OtherWorkflows(
                self._facts.definition_id, self._facts.attempt_id, self._archive, self._clock, task.retries_around
            ),
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
        if code in TERMINATED or (code and order()):
            self._ended_with_the_worker()
        if code < 0:
            name = signal_name(-code)
            raise TaskFailed(f"The command was ended by {name}.", signal=name)
        return code

    def _ended_with_the_worker(self) -> None:
        """Somebody ends the worker and its commands alike, as systemd does: no failure of the command.

        What a command that answers the signal itself ends with is up to it.
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

    def _cancel(self) -> None:
        """What runs beside this thread has been told to end. What has no child, and goes on, is not waited for."""
        for task, outcome in self._beside.ended(CANCEL_SECONDS, everything=True):
            if isinstance(outcome, Outcome):
                self._tree.succeed(task, outcome.stored, None, self._clock())
        dispatch.revoke_kept(task.kept for task in self._tree.tasks.values() if task.state not in ENDED)
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
