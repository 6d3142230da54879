"""VERB: publish a new revision of a project."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from projects import archives
from projects.models import Project, Revision, Workflow, WorkflowDefinition


def publish(
    *,
    project_name: str,
    revision_name: str,
    documents: Mapping[str, dict[str, Any]],
    files: Mapping[str, bytes] | None = None,
    now: datetime,
    created_by: AbstractBaseUser | None = None,
) -> Revision:
    """Store `documents` (workflow name to parsed `.dig` document) and `files` as a revision of the project.

    Makes the project when there is none of that name. A workflow keeps its identity across revisions; its
    definition is new in each. Raises IntegrityError when the project has a revision of that name.
    """
    archive = archives.store(files or {})  # outside the transaction: the storage may be far away
    with transaction.atomic():
        project, _ = Project.objects.live().get_or_create(name=project_name, defaults={"created_at": now})
        revision = Revision.objects.create(
            project=project,
            name=revision_name,
            archive=archive,
            created_at=now,
            created_by_id=created_by.pk if created_by else None,
        )
        for name, document in documents.items():
            _define(revision, name, document)
    return revision


def _define(revision: Revision, name: str, document: dict[str, Any]) -> WorkflowDefinition:
    workflow, _ = Workflow.objects.get_or_create(project_id=revision.project_id, name=name)
    return WorkflowDefinition.objects.create(
        revision=revision, workflow=workflow, timezone=document.get("timezone", "UTC"), document=document
    )
