"""What an attempt's tasks wrote: pieces in the database while it runs, files in the storage `logs` afterwards."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Length

from scheduler.models.attempt import Attempt


class LogChunk(models.Model):
    """A piece of what an attempt's tasks wrote, readable while they run. Whole UTF-8 text, in order of id."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="log", db_index=False)
    position = models.PositiveIntegerField(help_text="Position of the task that wrote it.")
    text = models.TextField()
    written_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["attempt", "id"], name="log_of_attempt")]

    def __str__(self) -> str:
        return f"log {self.pk} of attempt {self.attempt_id}"


class LogFile(models.Model):
    """The whole log of one task in the storage `logs`, gzipped; there once no piece of the attempt is left here."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="log_files", db_index=False)
    position = models.PositiveIntegerField(help_text="Position of the task that wrote it.")
    name = models.CharField(max_length=255, help_text="Its name in the storage.")
    size = models.PositiveBigIntegerField(help_text="Of the text, in bytes.")
    lines = models.PositiveIntegerField(help_text="How many ends of lines are in it.")
    written_at = models.DateTimeField(help_text="When the first of it was written.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attempt", "position"], name="log_file_unique_for_task"),
        ]

    def __str__(self) -> str:
        return self.name


class Bytes(Length):
    """The length of a text in UTF-8."""

    output_field = models.BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, function="OCTET_LENGTH", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **extra)
