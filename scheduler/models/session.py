"""The plan to run a workflow for one session time."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Prefetch

from projects.models import ApiKey, Project, Workflow
from scheduler.models.attempt import Attempt


class SessionQuerySet(models.QuerySet["Session"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> SessionQuerySet:
        return self.filter(workflow__project__in=Project.objects.visible_to(user, key))

    def remembered_for(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> SessionQuerySet:
        """As `visible_to`, and those of projects that were deleted."""
        return self.filter(workflow__project__in=Project.objects.open_to(user, key))

    def with_names(self) -> SessionQuerySet:
        return self.select_related("workflow__project")

    def with_latest_attempt(self) -> SessionQuerySet:
        """Each session with `latest_attempts`: a list of the one latest attempt, in one more query."""
        latest = Attempt.objects.filter(is_latest=True).select_related("definition")
        return self.prefetch_related(Prefetch("attempts", queryset=latest, to_attr="latest_attempts"))


class Session(models.Model):
    """One slot of a workflow, unique for ever on (workflow, session time), whatever the revision."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="sessions", db_index=False)
    session_time = models.DateTimeField()
    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField()

    objects = SessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "session_time"], name="session_unique_per_slot"),
        ]
        indexes = [models.Index(fields=["workflow", "-id"], name="session_of_workflow")]

    def __str__(self) -> str:
        return f"{self.session_time:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def latest_attempt(self) -> Attempt | None:
        """Needs `with_latest_attempt()`."""
        latest: list[Attempt] = vars(self)["latest_attempts"]
        return latest[0] if latest else None
