"""The steps of an attempt."""

from __future__ import annotations

from django.db import models

from projects.models import NAME_LENGTH
from scheduler.models.attempt import Attempt


class TaskState(models.TextChoices):
    BLOCKED = "blocked", "Blocked"
    READY = "ready", "Ready"
    RETRY_WAITING = "retry_waiting", "Waiting to try again"
    GROUP_RETRY_WAITING = "group_retry_waiting", "Waiting to try again"
    RUNNING = "running", "Running"
    PLANNED = "planned", "Planned"
    SUCCESS = "success", "Success"
    ERROR = "error", "Error"
    GROUP_ERROR = "group_error", "Group error"
    CANCELED = "canceled", "Canceled"


TRIED_LATER = (TaskState.RETRY_WAITING, TaskState.GROUP_RETRY_WAITING)
UNDER_WAY = (TaskState.READY, TaskState.RUNNING, TaskState.PLANNED, *TRIED_LATER)


class TaskRun(models.Model):
    """One step of an attempt (`+load`), in the order of the definition. Position 0 is the workflow itself."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="tasks", db_index=False)
    position = models.PositiveIntegerField()
    parent = models.PositiveIntegerField(null=True, blank=True, help_text="Position of the group around it.")
    upstreams = models.JSONField(default=list, blank=True, help_text="Positions that must be done before.")
    full_name = models.TextField(help_text="`+workflow+group+step`.")
    is_group = models.BooleanField(default=False)
    config = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=20, choices=TaskState.choices, default=TaskState.BLOCKED)
    error = models.JSONField(default=dict, blank=True, help_text="Why it failed: `message`, `exit_code`, …")
    export_params = models.JSONField(default=dict, blank=True)
    store_params = models.JSONField(default=dict, blank=True)
    state_params = models.JSONField(default=dict, blank=True, help_text="What it needs to go on: `retries`, …")
    retry_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attempt", "position"], name="task_position_unique_in_attempt"),
            models.CheckConstraint(condition=models.Q(state__in=TaskState.values), name="task_state_known"),
        ]

    def __str__(self) -> str:
        return self.full_name[:NAME_LENGTH]
