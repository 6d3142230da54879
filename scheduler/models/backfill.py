"""A request to run past sessions of a schedule."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from projects.models import NAME_LENGTH, ApiKey, Project, Workflow
from scheduler.models.attempt import Attempt


class Only(models.TextChoices):
    """Which sessions of its time a backfill runs."""

    ALL = "all", "All"
    MISSING = "missing", "Never run"
    FAILED = "failed", "Failed or killed"
    MISSING_OR_FAILED = "missing_or_failed", "Never run, failed or killed"


class BackfillQuerySet(models.QuerySet["Backfill"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> BackfillQuerySet:
        return self.filter(workflow__project__in=Project.objects.visible_to(user, key))

    def with_names(self) -> BackfillQuerySet:
        """Everything that a list shows of a backfill, in one query.

        `timezone` is that of its schedule; once that is gone, that of the workflow as its last attempt ran it.
        """
        last = Attempt.objects.filter(backfill=OuterRef("pk")).order_by("-pk")
        zone = Coalesce("schedule__timezone", Subquery(last.values("definition__timezone")[:1]), Value("UTC"))
        return self.select_related("workflow__project", "schedule", "created_by").annotate(timezone=zone)

    def remembered_for(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> BackfillQuerySet:
        """As `visible_to`, and those of projects that were deleted."""
        return self.filter(workflow__project__in=Project.objects.open_to(user, key))


class Backfill(models.Model):
    """A request to run past sessions; its attempts share its name. Progress is read from their rows."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="backfills")
    schedule = models.ForeignKey(
        "scheduler.Schedule", on_delete=models.SET_NULL, null=True, blank=True, related_name="backfills"
    )
    name = models.CharField(max_length=NAME_LENGTH)
    from_time = models.DateTimeField()
    count = models.PositiveIntegerField(null=True, blank=True, help_text="As asked for; empty: all there are.")
    to_time = models.DateTimeField(null=True, blank=True, help_text="Empty: up to the schedule's next session.")
    only = models.CharField(max_length=20, choices=Only.choices, default=Only.ALL)
    sessions = models.PositiveIntegerField(help_text="How many sessions it runs.")
    concurrency = models.PositiveIntegerField(default=1, help_text="How many of its attempts run at once.")
    pool = models.ForeignKey(
        "scheduler.Pool", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="backfills"
    )

    objects = BackfillQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(concurrency__gte=1), name="backfill_concurrency_at_least_one"),
        ]

    def __str__(self) -> str:
        return self.name
