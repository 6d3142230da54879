"""Runs one claim: the tasks of the definition, one after the other, to the end of the attempt."""

import json
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection

from projects.models import WorkflowDefinition
from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.errors import HindcastError
from scheduler.execution import storable
from scheduler.execution.child import Child, environment
from scheduler.execution.journal import Clock, Journal, Resumed
from scheduler.execution.lease import Canceled, Lease, LeaseLost, order
from scheduler.execution.operators import OPERATORS
from scheduler.execution.operators.base import Context, Stored, TaskFailed
from scheduler.execution.plan import PlanRefused, Step, plan
from scheduler.execution.template import TemplateError
from scheduler.execution.variables import BuiltIns, Variables, plain
from scheduler.execution.workspace import Workspace
from scheduler.models import Schedule
from scheduler.timetable import TimetableError

SAME_MOMENT_SECONDS = 0.2

log = structlog.get_logger(__name__)


def run(lease: Lease, *, clock: Clock) -> None:
    """Run the attempt of a claim that was just taken, until it is done or the lease is lost.

    Whatever the workflow does ends the attempt, with the reason kept as data. Losing the lease ends nothing here:
    the attempt is somebody else's by then. Raises OperationalError when the database is away from the start.
    """
    try:
        _run(lease, clock)
    except LeaseLost:
        log.warning("lease_lost", attempt=lease.claim.attempt_id)
        if lease.given_up:
            attempts.give_back(lease.claim, now=clock())
    except SystemExit:  # the prefork pool ends this process
        connection.close()  # whatever it was in the middle of
        attempts.give_back(lease.claim, now=clock())
        raise
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # our own fault: the attempt must not hang until three workers have met it
        log.exception("attempt_broke", attempt=lease.claim.attempt_id)
        reason: dict[str, object] = {"message": f"Hindcast could not run this attempt: {type(error).__name__}."}
        attempts.fail(lease.claim, reason=reason, now=clock())


def _run(lease: Lease, clock: Clock) -> None:
    facts = Facts.of(lease.claim)
    definition = definition_of(facts.definition_id)
    if isinstance(definition.steps, PlanRefused):
        refused = definition.steps
        attempts.fail(lease.claim, reason={"message": refused.message, "task": refused.task}, now=clock())
        return
    journal = Journal(
        lease=lease, steps=definition.steps, clock=clock, delivery=facts.deliveries, resumed=facts.resumed
    )
    workspace = Workspace(lease.claim, definition.archive)
    try:
        _Run(lease, facts, definition, journal, workspace).steps(definition.steps)
    finally:
        workspace.remove()


@dataclass(frozen=True)
class Definition:
    """What never changes of a workflow definition, ready to run. `steps` is the refusal of a document that is not."""

    workflow_id: int
    project_id: int
    timezone: str
    archive: str
    steps: tuple[Step, ...] | PlanRefused


@lru_cache(maxsize=1024)
def definition_of(definition_id: int) -> Definition:
    row = WorkflowDefinition.objects.select_related("workflow", "revision").get(pk=definition_id)
    try:
        steps: tuple[Step, ...] | PlanRefused = plan(row.workflow.name, row.document)
    except PlanRefused as refusal:
        steps = refusal
    return Definition(row.workflow_id, row.workflow.project_id, row.timezone, row.revision.archive, steps)


@dataclass(frozen=True)
class Facts:
    """What a run needs to know of its attempt and session; read at the start, in one query."""

    attempt_id: int
    definition_id: int
    session_id: int
    name: str
    params: Mapping[str, Any]
    last_executed_session_time: datetime | None
    deliveries: int
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
        pk, definition, session, name, params, last_executed, deliveries, session_time, session_uuid, *resumed = row
        return cls(
            attempt_id=pk,
            definition_id=definition,
            session_id=session,
            name=name,
            params=json.loads(params),
            last_executed_session_time=last_executed and _instant(last_executed),
            deliveries=deliveries,
            session_time=_instant(session_time),
            session_uuid=session_uuid if isinstance(session_uuid, UUID) else UUID(session_uuid),
            resumed=Resumed(*resumed) if resumed[0] is not None else None,
        )


# By hand, since every attempt passes here: building the query takes the ORM longer than the database needs for it.
_FACTS = """
    SELECT attempt.id, attempt.definition_id, attempt.session_id, attempt.name, attempt.params,
           attempt.last_executed_session_time, attempt.deliveries, session.session_time, session.uuid,
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
        self, lease: Lease, facts: Facts, definition: Definition, journal: Journal, workspace: Workspace
    ) -> None:
        self._lease = lease
        self._facts = facts
        self._journal = journal
        self._workspace = workspace
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

    def steps(self, steps: Sequence[Step]) -> None:
        """Run them in order; the first that fails ends the attempt."""
        try:
            for step in steps:
                if not self._journal.succeeded(step):
                    self._step(step)
        except _StepFailed as failed:
            self._journal.fail(failed.step, failed.error)
        except Canceled:
            self._journal.cancel({"message": "Killed on request."})
        else:
            self._journal.succeed()

    def _step(self, step: Step) -> None:
        self._lease.check()
        if self._lease.canceled:
            raise Canceled
        self._journal.start(step)
        if step.is_group:
            return
        try:
            stored = self._task(step)
        except HindcastError as error:
            if self._lease.canceled:
                raise Canceled from None
            raise _StepFailed(step, _facts(error)) from None
        self._journal.finish(step, stored)

    def _task(self, step: Step) -> Stored:
        operator = OPERATORS[step.operator]
        if not operator.in_process:
            self._journal.save()
        variables = Variables(
            step=step, built_ins=self._built_ins, params=self._facts.params, stored=self._journal.stored()
        )
        context = Context(
            command=step.command,
            variables=variables,
            exported=variables.exported,
            write=self._journal.log.write,
            workspace=self._workspace.path,
            spawn=self._spawn,
        )
        return operator.run(context)

    def _spawn(
        self,
        command: str,
        arguments: Sequence[str] = (),
        *,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> int:
        """`Spawn` of the operators: under the lease, in the workspace, with what every child is told."""
        folder = self._workspace.path()
        session_time = str(self._built_ins["session_time"])
        more = {"SESSION_TIME": session_time, "ATTEMPT_ID": str(self._facts.attempt_id), **env}
        child = Child(command, arguments, cwd=folder, env=environment(folder, more), pass_fds=pass_fds)
        try:
            with self._lease.over(child):
                code = child.wait(self._journal.log.write, self._journal.flush)
        finally:
            child.close()
        self._lease.check()
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


class _StepFailed(Exception):  # noqa: N818 - named as the fact
    def __init__(self, step: Step, error: dict[str, object]) -> None:
        super().__init__(step.full_name)
        self.step = step
        self.error = error


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
