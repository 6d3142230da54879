"""The banner of every page while the beat starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError
from django.db.models.functions import Now
from django.http import HttpRequest

from scheduler.models import Heartbeat
from scheduler.web.times import utc_text

ALIVE = timedelta(minutes=1)


def tick_hold(request: HttpRequest) -> dict[str, Callable[[], str]]:
    """For templates: `tick_hold` is asked for where it is placed, and nowhere else."""
    return {"tick_hold": sentence}


def sentence() -> str:
    """Why nothing is started; empty as a rule. Heartbeats are compared with the database's clock, whatever it says."""
    beats = Heartbeat.objects.filter(kind=Heartbeat.Kind.BEAT, beat_at__gt=Now() - ALIVE)
    try:
        facts = beats.filter(facts__has_key="held_since").values_list("facts", flat=True).first()
    except DatabaseError:
        return ""  # the page that says so itself
    if not facts:
        return ""
    since = utc_text(datetime.fromisoformat(facts["held_since"]).astimezone(UTC))
    return f"Nothing is started since {since}: {facts['reason']}. It goes on once the clock runs evenly again."
