"""Other workflows, for `call>` and `require>`: those of the revision that this attempt runs, or of another project."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from projects.models import Project, ProjectGroup, WorkflowDefinition
from scheduler.errors import HindcastError
from scheduler.execution.called import SUFFIX, document_of
from scheduler.execution.operators.base import TaskFailed
from scheduler.models import Attempt, AttemptStatus, Session
from scheduler.models.attempt import DONE
from scheduler.starting import AttemptConflict, start


@dataclass(frozen=True)
class OtherWorkflows:
    """`Others` of the operators, as the attempt `attempt_id` of the definition `definition_id` sees them.

    `retries` says which try of its task this is.
    """

    definition_id: int
    attempt_id: int
    archive: str
    clock: Callable[[], datetime]
    retries: tuple[int, ...] = ()

    def document(self, path: str, *, within: str) -> tuple[Mapping[str, Any], str]:
        whole = posixpath.normpath(posixpath.join(within, path.removesuffix(SUFFIX)))
        if whole.startswith(("/", "..")):
            raise TaskFailed(f"{path[:200]!r} leads out of the project's files.")
        folder, name = posixpath.split(whole)
        if folder:
            return document_of(self.archive, whole), folder
        document: Mapping[str, Any] = self._definition(name).document
        return document, ""

    def start(
        self,
        name: str,
        *,
        session_time: datetime,
        params: Mapping[str, Any],
        rerun_on: str,
        project: Mapping[str, str],
    ) -> int:
        definition = self._elsewhere(name, project) if project else self._definition(name)
        latest = self._latest(definition, session_time)
        again = latest is not None and latest.done and _reruns(latest, rerun_on)
        if latest is not None and not again:
            return latest.pk
        try:
            return start(
                definition_id=definition.pk,
                session_time=session_time,
                retry_attempt_name=self._rerun_name() if again else None,
                params=params,
                now=self.clock(),
            ).pk
        except AttemptConflict as conflict:  # somebody was faster, or an earlier delivery of this attempt
            return conflict.attempt.pk
        except HindcastError as refusal:
            raise TaskFailed(f"{name} could not be started: {refusal.message}") from None

    def status(self, attempt_id: int) -> str | None:
        status = Attempt.objects.filter(pk=attempt_id).values_list("status", flat=True).first()
        return None if status and status not in DONE else status or "gone"

    def _rerun_name(self) -> str:
        """The same in every delivery of this attempt; another one in each try, which is to look at a run of its own."""
        tried = self.retries if any(self.retries) else ()
        return "-".join(["required-by", str(self.attempt_id), *map(str, tried)])

    def _definition(self, name: str) -> WorkflowDefinition:
        there = WorkflowDefinition.objects.filter(revision__definitions=self.definition_id)
        return _named(name, there, "this project")

    def _elsewhere(self, name: str, named: Mapping[str, str]) -> WorkflowDefinition:
        project = _project(named)
        if project is None or not self._is_open(project):
            raise TaskFailed(f"There is no project {' '.join(named.values())[:100]!r}.")
        there = WorkflowDefinition.objects.filter(revision=project.revisions.order_by("-pk")[:1])
        return _named(name, there, f"the project {project.name}")

    def _is_open(self, project: Project) -> bool:
        """Whether all who see this attempt's project see that one, too: nobody else's workflows are started from it."""
        theirs = set(project.access.values_list("group", flat=True))
        here = ProjectGroup.objects.filter(project__workflows__definitions=self.definition_id)
        mine = set(here.values_list("group", flat=True))
        return not theirs or (bool(mine) and mine <= theirs)

    def _latest(self, definition: WorkflowDefinition, session_time: datetime) -> Attempt | None:
        sessions = Session.objects.filter(workflow=definition.workflow_id, session_time=session_time)
        return Attempt.objects.filter(session__in=sessions, is_latest=True).first()


def _project(named: Mapping[str, str]) -> Project | None:
    projects = Project.objects.live()
    if "name" in named:
        return projects.filter(name=named["name"]).first()
    number = named["id"]
    return projects.filter(pk=int(number)).first() if re.fullmatch(r"[0-9]{1,18}", number) else None


def _named(name: str, there: QuerySet[WorkflowDefinition], where: str) -> WorkflowDefinition:
    found = there.filter(workflow__name=name).first()
    if found is None:
        names = ", ".join(there.order_by("workflow__name").values_list("workflow__name", flat=True)[:20])
        raise TaskFailed(f"There is no workflow {name[:100]!r} in {where}; there are {names}.")
    return found


def _reruns(latest: Attempt, rerun_on: str) -> bool:
    return rerun_on == "all" or (rerun_on == "failed" and latest.status != AttemptStatus.SUCCESS)
