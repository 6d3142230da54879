"""One run of a session, and the pools that attempts share."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from projects.models import NAME_LENGTH, ApiKey, Project, Workflow, WorkflowDefinition


class AttemptStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    CANCELING = "canceling", "Canceling"
    SUCCESS = "success", "Success"
    ERROR = "error", "Error"
    KILLED = "killed", "Killed"


LIVE = (AttemptStatus.QUEUED, AttemptStatus.RUNNING, AttemptStatus.CANCELING)
LEASED = (AttemptStatus.RUNNING, AttemptStatus.CANCELING)
DONE = (AttemptStatus.SUCCESS, AttemptStatus.ERROR, AttemptStatus.KILLED)
RETRIABLE = (AttemptStatus.ERROR, AttemptStatus.KILLED)


def digdag_status(status: str, started_at: datetime | None) -> str:
    """As Digdag has it, one that has begun is running until it is done, also while it waits for a worker to go on."""
    begun = status == AttemptStatus.QUEUED and started_at is not None
    return str(AttemptStatus.RUNNING if begun else status)


class Lane(models.TextChoices):
    """What an attempt competes with; each is a queue of doorbells."""

    SCHEDULED = "scheduled", "Scheduled"
    MANUAL = "manual", "Manual"
    BACKFILL = "backfill", "Backfill"


class Pool(models.Model):
    """A named number of slots that attempts share."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    slots = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.name


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> AttemptQuerySet:
        return self.filter(workflow__project__in=Project.objects.visible_to(user, key))

    def remembered_for(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> AttemptQuerySet:
        """As `visible_to`, and those of projects that were deleted."""
        return self.filter(workflow__project__in=Project.objects.open_to(user, key))

    def with_names(self) -> AttemptQuerySet:
        """Everything that a list shows of an attempt, in one query."""
        return self.select_related("session__workflow__project", "definition")

    def live(self) -> AttemptQuerySet:
        return self.filter(status__in=LIVE)

    def claimable(self) -> AttemptQuerySet:
        """Queued attempts whose turn has come, the longest waiting first."""
        return self.filter(status=AttemptStatus.QUEUED, released_at__isnull=False).order_by("released_at", "pk")

    def due(self) -> AttemptQuerySet:
        """Those of the claimable that a claim would take now: after a lost worker, or parked, they wait a while."""
        return self.claimable().filter(Q(started_at=None) | Q(released_at__lte=Now()))


class Attempt(models.Model):
    """One run of a session. `status` moves only through `scheduler.attempts`."""

    session = models.ForeignKey("scheduler.Session", on_delete=models.CASCADE, related_name="attempts", db_index=False)
    # The session's, kept here too: lists of one workflow or project are read along one index. The session's own
    # foreign key vouches for it; a second check of each of ten thousand rows would only cost.
    workflow = models.ForeignKey(
        Workflow, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    definition = models.ForeignKey(WorkflowDefinition, on_delete=models.PROTECT, related_name="+", db_index=False)
    index = models.PositiveIntegerField(help_text="1 for the first attempt of the session.")
    name = models.CharField(
        max_length=NAME_LENGTH, blank=True, help_text="Empty for the first; a backfill or retry gives one."
    )
    is_latest = models.BooleanField(default=True, help_text="The newest attempt of its session.")
    status = models.CharField(
        max_length=10, choices=AttemptStatus.choices, default=AttemptStatus.QUEUED, editable=False
    )
    reason = models.JSONField(default=dict, blank=True, help_text="Why it ended as it did: `message`, `task`, …")
    params = models.JSONField(default=dict, blank=True)
    last_executed_session_time = models.DateTimeField(null=True, blank=True)

    lane = models.CharField(max_length=10, choices=Lane.choices)
    pool = models.ForeignKey(Pool, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    backfill = models.ForeignKey(
        "scheduler.Backfill", on_delete=models.SET_NULL, null=True, blank=True, related_name="attempts", db_index=False
    )

    resumed_from = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="The attempt whose finished tasks this one does not run again.",
    )
    resume_position = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="From this task on it runs all of them again; empty: those that did not succeed.",
    )

    created_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True, help_text="When its turn came; empty: it waits.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    worker = models.CharField(max_length=255, blank=True)
    lease_token = models.PositiveBigIntegerField(default=0, help_text="Rises with every claim; fences old workers.")
    lease_expires_at = models.DateTimeField(null=True, blank=True, help_text="By the database's clock.")
    deliveries = models.PositiveIntegerField(default=0)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "name"], name="attempt_name_unique_in_session"),
            models.UniqueConstraint(fields=["session", "index"], name="attempt_index_unique_in_session"),
            models.UniqueConstraint(
                fields=["session"], condition=Q(status__in=LIVE), name="attempt_one_live_per_session"
            ),
            models.UniqueConstraint(
                fields=["session"], condition=Q(is_latest=True), name="attempt_one_latest_per_session"
            ),
            models.CheckConstraint(condition=Q(status__in=AttemptStatus.values), name="attempt_status_known"),
            models.CheckConstraint(
                condition=(
                    Q(status__in=LEASED, lease_expires_at__isnull=False)
                    | (~Q(status__in=LEASED) & Q(lease_expires_at=None))
                ),
                name="attempt_lease_while_running",
            ),
            models.CheckConstraint(
                condition=(Q(status__in=DONE, finished_at__isnull=False) | (~Q(status__in=DONE) & Q(finished_at=None))),
                name="attempt_finished_when_done",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lane", "released_at", "id"],
                condition=Q(status=AttemptStatus.QUEUED, released_at__isnull=False),
                name="attempt_claimable",
            ),
            models.Index(
                fields=["lease_expires_at"], condition=Q(lease_expires_at__isnull=False), name="attempt_leases"
            ),
            models.Index(fields=["backfill", "id"], condition=Q(backfill__isnull=False), name="attempt_of_backfill"),
            models.Index(
                fields=["backfill", "released_at", "id"],
                condition=Q(backfill__isnull=False, status__in=LIVE),
                name="attempt_turn_in_backfill",
            ),
            models.Index(fields=["workflow", "name"], condition=Q(status__in=LIVE), name="attempt_live_of_workflow"),
            models.Index(
                fields=["pool", "released_at"],
                condition=Q(pool__isnull=False, status__in=LIVE),
                name="attempt_turn_in_pool",
            ),
            models.Index(
                fields=["pool", "lane", "id"],
                condition=Q(status=AttemptStatus.QUEUED, released_at=None, backfill=None),
                name="attempt_waiting_alone",
            ),
            models.Index(fields=["status", "-id"], name="attempt_by_status"),
            models.Index(fields=["workflow", "-id"], name="attempt_of_workflow"),
            models.Index(fields=["finished_at"], condition=Q(finished_at__isnull=False), name="attempt_finished"),
        ]
        permissions = [("run_attempt", "Can start, retry and kill attempts")]

    def __str__(self) -> str:
        return f"attempt {self.pk}"

    @property
    def done(self) -> bool:
        return self.status in DONE

    @property
    def success(self) -> bool:
        return self.status == AttemptStatus.SUCCESS

    @property
    def digdag_status(self) -> str:
        return digdag_status(self.status, self.started_at)

    @property
    def cancel_requested(self) -> bool:
        return self.cancel_requested_at is not None
