"""VERB: delete a project while its workflows are scheduled, queued and running.

One transaction: the project is marked, which frees its name; its schedules are removed, as Digdag does, and its
secrets; what is queued is killed, what runs is canceling. Sessions, attempts and logs stay in the database. Whoever
starts something holds the row of the project or of the schedule, so he comes before (and is killed) or after (and
finds nothing).
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from projects import secrets
from projects.models import Project, Secret, Workflow
from scheduler import attempts
from scheduler.errors import HindcastError
from scheduler.models import Attempt, AttemptStatus, Schedule


class ProjectNotFound(HindcastError):  # noqa: N818 - named as the fact
    """There is no such project, or it was deleted before."""

    def __init__(self, project_id: int) -> None:
        super().__init__(f"There is no project {project_id}.")
        self.project_id = project_id


@dataclass(frozen=True)
class Extent:
    """What a deletion ends: schedules, secrets, queued attempts, running attempts."""

    schedules: int
    secrets: int
    queued: int
    running: int


def extent(project_id: int) -> Extent:
    """What `delete` would end now."""
    live = Attempt.objects.live().filter(workflow__in=_workflows(project_id))
    queued = live.filter(status=AttemptStatus.QUEUED).count()
    schedules = Schedule.objects.filter(workflow__project=project_id).count()
    return Extent(schedules, Secret.objects.filter(project=project_id).count(), queued, live.count() - queued)


def delete(project_id: int, *, now: datetime) -> None:
    """Delete the project. Raises ProjectNotFound, also for one that was deleted before; nothing is written then."""
    with transaction.atomic():
        if not Project.objects.live().filter(pk=project_id).update(deleted_at=now):
            raise ProjectNotFound(project_id)
        schedules = Schedule.objects.filter(workflow__project=project_id).order_by("pk")
        # A tick or a backfill that is under way ends first. The workflows stay free for whoever passes on a turn.
        list(schedules.select_for_update(of=("self",)).values_list("pk"))
        # In the order of who ends an attempt and passes on its turn: attempts, backfills (the end of the schedules is
        # written to them), pools. Else each could wait for the other.
        workflows = _workflows(project_id)
        attempts.hold(workflows)
        schedules.delete()
        attempts.kill_all(workflows, now=now)
        secrets.delete_all(project_id)


def _workflows(project_id: int) -> list[int]:
    return list(Workflow.objects.filter(project=project_id).values_list("pk", flat=True))
