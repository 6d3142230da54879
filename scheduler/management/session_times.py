"""Which session a person means: `now`, `hourly`, `daily`, `schedule`, `last`, or a time as people write it."""

from datetime import datetime

from django.core.management.base import CommandError
from django.forms import ValidationError

from projects.models import WorkflowDefinition
from scheduler.errors import InvalidInput
from scheduler.models import Session
from scheduler.truncation import truncated
from scheduler.web.forms import read_time
from scheduler.web.times import zone_or_utc

MODES = {"hourly": "hour", "daily": "day", "schedule": "last_schedule"}
HELP = (
    "the session's time: now (as it is when left out), hourly or daily (the hour or day that it is, in the workflow's "
    "time zone), schedule (the schedule's session at or before now), last (the newest session that is there), or a "
    "time: local in the workflow's zone (2026-11-23, '2026-11-23 07:00:00'), or with an offset"
)


def session_time_of(text: str, definition: WorkflowDefinition, now: datetime) -> datetime:
    """Aware. Raises CommandError. `definition` needs its workflow."""
    if text == "now":
        return now
    if text == "last":
        return last_of(definition)
    try:
        if text in MODES:
            return truncated(definition, now, MODES[text])
        return read_time(text, zone_or_utc(definition.timezone), definition.timezone)
    except InvalidInput as refusal:
        sentences = [sentence for texts in refusal.errors.values() for sentence in texts]
        raise CommandError(f"--session: {' '.join(sentences)}") from None
    except ValidationError as refusal:
        raise CommandError(f"--session: {' '.join(refusal.messages)}") from None


def last_of(definition: WorkflowDefinition) -> datetime:
    sessions = Session.objects.filter(workflow=definition.workflow_id).order_by("-session_time")
    found = sessions.values_list("session_time", flat=True).first()
    if found is None:
        raise CommandError(f"--session: The workflow {definition.workflow.name!r} has no session yet.")
    return found
