"""What a command's arguments name: projects and workflows by name, the rest by id. All raise CommandError."""

from collections.abc import Iterable

from django.core.management.base import CommandError

from projects.dig.language import closest
from projects.models import Project, Revision, Workflow, WorkflowDefinition
from scheduler.models import Attempt, Backfill, Pool, Session


def project_named(name: str) -> Project:
    """The live project of that name."""
    project = Project.objects.live().filter(name=name).first()
    if project is None:
        raise not_there("project", name, Project.objects.live().values_list("name", flat=True))
    return project


def workflows_named(project_name: str | None, workflow_name: str | None) -> list[int]:
    """Ids of one workflow of a project, of all of its workflows, or of those of all live projects."""
    if project_name is None:
        return list(Workflow.objects.filter(project__in=Project.objects.live()).values_list("pk", flat=True))
    there = dict(project_named(project_name).workflows.values_list("name", "pk"))
    if workflow_name is None:
        return list(there.values())
    if workflow_name not in there:
        raise not_there("workflow", workflow_name, there, f" in the project {project_name!r}")
    return [there[workflow_name]]


def definition_named(project_name: str, workflow_name: str, revision_name: str | None = None) -> WorkflowDefinition:
    """The workflow as the newest revision has it, or the one of that name."""
    revision = revision_of(project_named(project_name), revision_name)
    definitions = revision.definitions.select_related("workflow__project", "revision")
    definition = definitions.filter(workflow__name=workflow_name).first()
    if definition is None:
        names = definitions.values_list("workflow__name", flat=True)
        raise not_there("workflow", workflow_name, names, f" in the project {project_name!r}, revision {revision.name}")
    return definition


def revision_of(project: Project, name: str | None = None) -> Revision:
    """The project's revision of that name; the newest, without one."""
    rows = project.revisions.order_by("-pk")
    revision = rows.first() if name is None else rows.filter(name=name).first()
    if revision is None and name is None:
        raise CommandError(f"Nothing was pushed to the project {project.name!r} yet.")
    if revision is None:
        names = rows.values_list("name", flat=True)[:1000]
        raise not_there("revision", str(name), names, f" of the project {project.name!r}")
    return revision


def attempt_of(attempt_id: int) -> Attempt:
    """With its session, workflow, project and definition. Its project may be deleted."""
    rows = Attempt.objects.with_names().select_related("session__workflow__schedule", "definition__revision")
    attempt = rows.filter(pk=attempt_id).first()
    if attempt is None:
        raise CommandError(f"There is no attempt {attempt_id}.")
    return attempt


def session_of(session_id: int) -> Session:
    session = Session.objects.filter(pk=session_id).first()
    if session is None:
        raise CommandError(f"There is no session {session_id}.")
    return session


def backfill_of(backfill_id: int) -> Backfill:
    backfill = Backfill.objects.select_related("schedule").filter(pk=backfill_id).first()
    if backfill is None:
        raise CommandError(f"There is no backfill {backfill_id}.")
    return backfill


def pool_named(name: str | None) -> int | None:
    """Its id; None for None."""
    if name is None:
        return None
    there = dict(Pool.objects.values_list("name", "pk"))
    if name not in there:
        raise not_there("pool", name, there)
    return there[name]


def task_name(attempt: Attempt, text: str) -> str:
    """The full name of a task, of which the workflow before it may be left out: `+load` is `+daily+load`."""
    root = f"+{attempt.session.workflow.name}"
    given = text if text.startswith("+") else f"+{text}"
    return given if given == root or given.startswith((f"{root}+", f"{root}^")) else root + given


def not_there(what: str, name: str, there: Iterable[str], where: str = "") -> CommandError:
    near = closest(name, there)
    return CommandError(f"There is no {what} {name!r}{where}{f'; did you mean {near!r}?' if near else '.'}")
