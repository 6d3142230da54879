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


def publish(
    *,
    project_name: str,
    revision_name: str,
    documents: Mapping[str, dict[str, Any]],
    files: Mapping[str, bytes] | Upload | None = None,
    now: datetime,
    created_by: AbstractBaseUser | None = None,
) -> Revision:
    """Store `documents` (workflow name to parsed `.dig` document) and `files` as a revision of the project.

    Makes the project when there is none of that name. A workflow keeps its identity across revisions; its
    definition is new in each. Raises BadArchive, and IntegrityError when the project has a revision of that name.
    """
    archive = _kept(files)  # outside the transaction: the storage may be far away
    with transaction.atomic():
        project, _ = Project.objects.live().get_or_create(name=project_name, defaults={"created_at": now})
        revision = Revision.objects.create(
            project=project,
            name=revision_name,
            archive=archive.name,
            archive_md5=archive.md5,
            archive_size=archive.size,
            created_at=now,
            created_by_id=created_by.pk if created_by else None,
        )
        _define(revision, documents)
    return revision


def _kept(files: Mapping[str, bytes] | Upload | None) -> Archive:
    if not files:
        return Archive()
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
