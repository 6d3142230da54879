"""VERBS: processes say that they are there."""

from datetime import datetime, timedelta
from typing import Any

from scheduler.models import Heartbeat

FORGOTTEN_AFTER = timedelta(days=1)


def say(*, kind: Heartbeat.Kind, name: str, facts: dict[str, Any], now: datetime) -> None:
    """The process `name` is there at `now`, which is read from the database's clock. One statement."""
    row = Heartbeat(kind=kind, name=name[:255], started_at=now, beat_at=now, facts=facts)
    Heartbeat.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["name"], update_fields=["kind", "beat_at", "facts"]
    )


def leave(name: str) -> None:
    """The process ends in good order."""
    Heartbeat.objects.filter(name=name[:255]).delete()


def forget_the_silent(*, now: datetime) -> None:
    """Drop those that have said nothing for a day."""
    Heartbeat.objects.filter(beat_at__lt=now - FORGOTTEN_AFTER).delete()
