"""Projects, workflows and logs as the wire shows them: plain dictionaries with exactly the keys that clients know."""

from collections.abc import Iterable
from typing import Any

from projects.models import Project, Revision, WorkflowDefinition
from scheduler.api.entries import Entry, instant, name_entry

HIDDEN = ("timezone",)  # Digdag shows it beside the configuration


def project_entry(project: Project, revision: Revision) -> Entry:
    return {
        "id": str(project.pk),
        "name": project.name,
        "revision": revision.name,
        "createdAt": instant(project.created_at),
        "updatedAt": instant(revision.created_at),
        "deletedAt": instant(project.deleted_at) if project.deleted_at else None,
        **archive_facts(revision),
    }


def revision_entry(revision: Revision) -> Entry:
    """Needs `created_by`."""
    user = {"name": revision.created_by.get_username()} if revision.created_by else {}
    return {
        "revision": revision.name,
        "createdAt": instant(revision.created_at),
        **archive_facts(revision),
        "userInfo": user,
    }


def archive_facts(revision: Revision) -> Entry:
    """Digdag tells where it keeps an archive; what counts for a client is whether there is one."""
    return {"archiveType": "db" if revision.archive else "none", "archiveMd5": revision.archive_md5 or None}


def workflow_entry(definition: WorkflowDefinition) -> Entry:
    """Needs the workflow with its project, and the revision."""
    workflow = definition.workflow
    return {
        "id": str(definition.pk),
        "name": workflow.name,
        "project": name_entry(workflow.project_id, workflow.project.name),
        "revision": definition.revision.name,
        "timezone": definition.timezone,
        "config": {key: value for key, value in definition.document.items() if key not in HIDDEN},
    }


def truncated_entry(definition: WorkflowDefinition, session_time: str) -> Entry:
    """Needs what `workflow_entry` needs."""
    project = definition.workflow.project
    return {
        "project": name_entry(project.pk, project.name),
        "revision": definition.revision.name,
        "sessionTime": session_time,
        "timezone": definition.timezone,
    }


def secret_entry(project: Project, key: str) -> Entry:
    return {"key": key, "project": name_entry(project.pk, project.name)}


def workflow_entries(definitions: Iterable[WorkflowDefinition]) -> Entry:
    return {"workflows": [workflow_entry(definition) for definition in definitions]}


def mistakes(problems: Iterable[Any]) -> list[Entry]:
    return [
        {
            "file": problem.place.file,
            "line": problem.place.line or None,
            "column": problem.place.column or None,
            "message": problem.message,
        }
        for problem in problems
    ]
