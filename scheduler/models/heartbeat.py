"""Who is there: beats and workers, and which beat sends the users' periodic tasks."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """A process that says every few seconds that it is there. All moments are by the database's clock."""

    class Kind(models.TextChoices):
        BEAT = "beat", "Beat"
        WORKER = "worker", "Worker"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=255, unique=True, help_text="host:pid")
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    facts = models.JSONField(
        default=dict, blank=True, help_text="`slots` of a worker; `held_since`, `reason` of a beat."
    )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Leadership(models.Model):
    """A task that one process does at a time, until its time is over or it lets go."""

    name = models.CharField(max_length=50, primary_key=True)
    owner = models.CharField(max_length=255)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.owner}"
