"""What went wrong lately and still stands: the first thing that people come for."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from scheduler.models import Attempt, AttemptStatus
from scheduler.web.rows import AttemptRow, attempt_row

SHOWN = 5
# How many of the newest failures are looked through for ones that still stand.
LOOKED_AT = 200
SINCE = timedelta(days=2)


def failures(user: AbstractBaseUser | AnonymousUser, now: datetime) -> list[AttemptRow]:
    """The newest failures that no later attempt has mended."""
    newest = Attempt.objects.filter(status=AttemptStatus.ERROR).order_by("-pk").values("pk")[:LOOKED_AT]
    standing = Attempt.objects.visible_to(user).filter(pk__in=newest, is_latest=True, finished_at__gte=now - SINCE)
    rows = standing.with_names().select_related("session__workflow__schedule", "session__workflow__project")
    return [attempt_row(row, now) for row in rows.order_by("-pk")[:SHOWN]]
