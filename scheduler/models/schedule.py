"""A workflow's timetable at work, and the record of due sessions that were not run."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import F, Q

from projects.models import ApiKey, Project, Workflow, WorkflowDefinition
from scheduler.timetable import Kind, Timetable


class CatchUp(models.TextChoices):
    """What becomes of sessions that came due while nothing was there to start them."""

    ALL = "all", "Run all of them"
    LATEST = "latest", "Run the latest alone"
    NONE = "none", "Run none of them"


class Overlap(models.TextChoices):
    """What becomes of a session that comes due while an earlier one is not done."""

    ALLOW = "allow", "Run beside it"
    SKIP = "skip", "Skip it"
    QUEUE_ONE = "queue_one", "Run after it; skip what comes while one waits"
    CANCEL_RUNNING = "cancel_running", "Kill the earlier one and run after it"


ONE_AT_A_TIME = (Overlap.QUEUE_ONE, Overlap.CANCEL_RUNNING)


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser, key: ApiKey | None = None) -> ScheduleQuerySet:
        """Schedules of live projects that `user` may see (within the project of `key`, where it has one)."""
        return self.filter(workflow__project__in=Project.objects.visible_to(user, key))

    def with_names(self) -> ScheduleQuerySet:
        """Everything that a list shows of a schedule, in one query."""
        return self.select_related("workflow__project", "definition")

    def due(self, now: datetime) -> ScheduleQuerySet:
        """Enabled schedules whose next run time has come, longest waiting first; those that fail stand back."""
        ready = Q(retry_at=None) | Q(retry_at__lte=now)
        return self.filter(ready, disabled_at=None, next_run_time__lte=now).order_by("next_run_time", "pk")


class Schedule(models.Model):
    """One workflow's timetable at work. `next_*` is empty when there is no next session, ever."""

    workflow = models.OneToOneField(Workflow, on_delete=models.CASCADE, related_name="schedule")
    definition = models.ForeignKey(WorkflowDefinition, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in Kind])
    expression = models.CharField(max_length=256)
    timezone = models.CharField(max_length=64, default="UTC")
    pool = models.ForeignKey(
        "scheduler.Pool", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    delay = models.PositiveIntegerField(default=0, help_text="Seconds from the session time to the run; cron only.")
    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True, help_text="The last day, included.")
    catch_up = models.CharField(max_length=10, choices=CatchUp.choices, default=CatchUp.ALL)
    overlap = models.CharField(max_length=20, choices=Overlap.choices, default=Overlap.ALLOW)
    skip_delayed_by = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds.")

    next_session_time = models.DateTimeField(null=True, blank=True)
    next_run_time = models.DateTimeField(null=True, blank=True)
    last_session_time = models.DateTimeField(null=True, blank=True, help_text="The last one that the schedule ran.")
    disabled_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0, help_text="Counts the moves of the cursor.")

    error = models.TextField(blank=True, help_text="Why the last tick could not run this schedule.")
    failures = models.PositiveIntegerField(default=0, help_text="Failed ticks in a row.")
    retry_at = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(next_session_time=None, next_run_time=None)
                | Q(
                    next_session_time__isnull=False,
                    next_run_time__isnull=False,
                    next_run_time__gte=F("next_session_time"),
                ),
                name="schedule_next_times_together",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_run_time", "id"],
                condition=Q(disabled_at=None, next_run_time__isnull=False),
                name="schedule_due",
            ),
        ]
        permissions = [("backfill_schedule", "Can backfill schedules")]

    def __str__(self) -> str:
        return self.workflow.name

    @property
    def timetable(self) -> Timetable:
        """The pure arithmetic of this schedule. Raises TimetableError when the row holds no timetable."""
        return Timetable(
            kind=Kind(self.kind),
            expression=self.expression,
            timezone=self.timezone,
            delay=self.delay,
            start_date=self.start_date,
            end_date=self.end_date,
        )


class SkipReason(models.TextChoices):
    MISSED = "missed", "Came due while nothing was there to start it"
    DELAYED = "delayed", "Too late to start"
    OVERTIME = "overtime", "An earlier session was not done"
    DISABLED = "disabled", "The schedule was disabled"
    REQUESTED = "requested", "Skipped on request"


class Skip(models.Model):
    """The record that a due session time was not run, and why."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="skips", db_index=False)
    session_time = models.DateTimeField()
    reason = models.CharField(max_length=20, choices=SkipReason.choices)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "session_time"], name="skip_unique_per_slot"),
        ]
        indexes = [models.Index(fields=["created_at", "reason"], name="skip_recent")]

    def __str__(self) -> str:
        return f"{self.session_time:%Y-%m-%d %H:%M:%S} UTC: {self.get_reason_display()}"
