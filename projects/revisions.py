"""VERB: publish a new revision of a project."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from projects import archives
from projects.archives import Archive
from projects.models import Project, Revision, Workflow, WorkflowDefinition
from projects.uploads import Upload


class RevisionTaken(Exception):  # noqa: N818 - named as the fact
    """The project has a revision of that name; a revision is never written over."""

    def __init__(self, project_name: str, revision_name: str) -> None:
        self.message = f"The project {project_name!r} has a revision {revision_name!r} already. Give another name."
        super().__init__(self.message)


def publish(
    *,
    project_name: str,
    revision_name: str,
    documents: Mapping[str, dict[str, Any]],
    files: Mapping[str, bytes] | Upload | Archive | None = None,
    now: datetime,
    created_by: AbstractBaseUser | None = None,
) -> Revision:
    """Store `documents` (workflow name to parsed `.dig` document) and `files` as the newest revision of the project.

    Makes the project when there is none of that name. A workflow keeps its identity across revisions; its
    definition is new in each. Raises BadArchive and RevisionTaken.
    """
    archive = _kept(files)  # outside the transaction: the storage may be far away
    with transaction.atomic():
        project = locked_project(project_name, now)
        made = {"archive": archive.name, "archive_md5": archive.md5, "archive_size": archive.size, "created_at": now}
        revision, is_new = Revision.objects.get_or_create(
            project=project,
            name=revision_name,
            defaults={**made, "created_by_id": created_by.pk if created_by else None},
        )
        if not is_new:
            raise RevisionTaken(project_name, revision_name)
        _define(revision, documents)
    return revision


def locked_project(name: str, now: datetime) -> Project:
    """The live project of that name, made when there is none, locked until the transaction ends.

    One publication at a time, so that the last one is newest.
    """
    while True:
        project, _ = Project.objects.live().get_or_create(name=name, defaults={"created_at": now})
        if locked := Project.objects.live().select_for_update(no_key=True).filter(pk=project.pk).first():
            return locked


def _kept(files: Mapping[str, bytes] | Upload | Archive | None) -> Archive:
    if not files:
        return Archive()
    if isinstance(files, Archive):
        return files
    if isinstance(files, Upload):
        return archives.keep(files)
    with archives.pack(files) as upload:
        return archives.keep(upload)


def _define(revision: Revision, documents: Mapping[str, dict[str, Any]]) -> None:
    """In three statements, however many there are."""
    workflows = Workflow.objects.filter(project=revision.project_id, name__in=documents)
    new = [Workflow(project_id=revision.project_id, name=name) for name in sorted(documents)]  # no deadlock of two
    Workflow.objects.bulk_create(new, ignore_conflicts=True)
    ids = dict(workflows.values_list("name", "pk"))
    WorkflowDefinition.objects.bulk_create(
        WorkflowDefinition(
            revision=revision, workflow_id=ids[name], timezone=document.get("timezone", "UTC"), document=document
        )
        for name, document in documents.items()
    )
