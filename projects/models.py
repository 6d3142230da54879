"""What can be run, and by whom: projects, their revisions, workflows and secrets, the keys of the API, and limits."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery

NAME_LENGTH = 255


class ProjectQuerySet(models.QuerySet["Project"]):
    def live(self) -> ProjectQuerySet:
        return self.filter(deleted_at=None)

    def visible_to(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> ProjectQuerySet:
        """Live projects that `user` may see, narrowed to the project of `key` where it has one."""
        return self.open_to(user, key).live()

    def open_to(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> ProjectQuerySet:
        """As `visible_to`, and those that were deleted: their history stays.

        A project without groups is open to every active user; one with groups, to their members and to superusers.
        """
        if not user.is_active or user.pk is None:
            return self.none()
        visible = self.all()
        if key is not None and key.project_id is not None:
            visible = visible.filter(pk=key.project_id)
        if getattr(user, "is_superuser", False):
            return visible
        shared = ProjectGroup.objects.filter(project=OuterRef("pk"))
        return visible.filter(~Exists(shared) | Exists(shared.filter(group__user=user.pk)))

    def is_name_closed_to(self, name: str, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> bool:
        """Whether `user` may not push to that name: he may not see its project, or his key opens another one alone."""
        if self.visible_to(user, key).filter(name=name).exists():
            return False
        return self.live().filter(name=name).exists() or (key is not None and key.project_id is not None)

    def with_newest_revision(self) -> ProjectQuerySet:
        """With `newest_revision_id` and `_name`; empty for a project that nothing was pushed to yet."""
        newest = Revision.objects.filter(project=OuterRef("pk")).order_by("-pk")
        return self.annotate(
            newest_revision_id=Subquery(newest.values("pk")[:1]),
            newest_revision_name=Subquery(newest.values("name")[:1]),
        )


class Project(models.Model):
    """A named set of workflows. New contents make a new revision."""

    name = models.CharField(max_length=NAME_LENGTH)
    groups = models.ManyToManyField(
        Group,
        through="ProjectGroup",
        blank=True,
        related_name="projects",
        help_text="Who may see this project. Empty: everybody who can sign in.",
    )
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(deleted_at=None), name="project_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name


class ProjectGroup(models.Model):
    """A group whose members may see a project.

    A group that a project is for cannot be deleted: without its last group, the project would be open to everybody.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False, related_name="access")
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "group"], name="project_group_unique"),
        ]

    def __str__(self) -> str:
        return self.group.name


class Revision(models.Model):
    """One state of a project's contents. Never changed once written."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="revisions")
    name = models.CharField(max_length=NAME_LENGTH)
    archive = models.CharField(
        max_length=100,
        blank=True,
        help_text="Name of the tar.gz in the archive storage, by content; empty when the project has no files.",
    )
    archive_md5 = models.CharField(
        max_length=24, blank=True, default="", db_default="", help_text="Of the archive as it was uploaded, in base64."
    )
    archive_size = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="Bytes of the archive as it was uploaded."
    )
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="revision_name_unique_in_project"),
        ]

    def __str__(self) -> str:
        return self.name


class Workflow(models.Model):
    """The stable identity of a workflow: (project, name). Sessions belong to it, across revisions."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="workflows", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="workflow_name_unique_in_project"),
        ]

    def __str__(self) -> str:
        return self.name


class OrderedJSONField(models.JSONField):
    """JSON kept as text, in the order in which it was written: PostgreSQL's jsonb sorts the keys of an object."""

    def get_internal_type(self) -> str:
        return "TextField"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if hasattr(value, "resolve_expression") else json.dumps(value)


class WorkflowDefinition(models.Model):
    """A workflow's text in one revision: the parsed `.dig` document. The wire's `workflow.id`."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="definitions", db_index=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="definitions")
    timezone = models.CharField(max_length=64, default="UTC")
    document = OrderedJSONField(
        default=dict, help_text="The parsed document: a tree of +tasks, each with an operator. They run in its order."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["revision", "workflow"], name="definition_unique_in_revision"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow.name} ({self.revision.name})"


class Secret(models.Model):
    """What a project's workflows may use and nobody may read. Written and opened by the verbs of `projects.secrets`."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="secrets", db_index=False)
    key = models.CharField(max_length=NAME_LENGTH)
    sealed = models.TextField(editable=False)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="secret_key_unique_in_project"),
        ]

    def __str__(self) -> str:
        return self.key


class Scope(models.TextChoices):
    READ = "read", "Read"
    OPERATE = "operate", "Operate"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, now: datetime) -> ApiKeyQuerySet:
        """Keys that are neither revoked nor expired, of users who may still sign in."""
        alive = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(alive, revoked_at=None, user__is_active=True)


class ApiKey(models.Model):
    """A key to the API: acts as its user, within its scopes. Only a keyed hash of it is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=NAME_LENGTH, help_text="What the key is for.")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list, help_text="`read` and `operate`.")
    project = models.ForeignKey(
        Project,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="api_keys",
        help_text="The one project that the key opens. Empty: all that its user may see.",
    )
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="UTC. Empty: never.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")), name="api_key_expires_after_creation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def allows(self, scope: Scope) -> bool:
        return scope.value in self.scopes


class Allowance(models.Model):
    """How much of a limit somebody used up in the time that runs. Counted by the verbs of `projects.limits`."""

    name = models.CharField(max_length=64, unique=True, help_text="A digest: of which limit, and of whom.")
    used = models.PositiveIntegerField()
    ends_at = models.DateTimeField(db_index=True, help_text="When it starts again from nothing.")

    def __str__(self) -> str:
        return f"{self.name[:8]}… {self.used}"
