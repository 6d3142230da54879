"""One attempt as lists and pages show it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, tzinfo

from django.core.exceptions import ObjectDoesNotExist
from django.urls import reverse

from scheduler.models import Attempt, AttemptStatus, Schedule, Session
from scheduler.web.states import ATTEMPT_STATES, BEGUN, WAITING, State
from scheduler.web.times import Moment, duration, moment, zone_or_utc

REASON_LENGTH = 300


@dataclass(frozen=True)
class AttemptRow:
    href: str
    number: int
    name: str
    state: State
    workflow: str
    project: str
    session_href: str
    schedule_href: str
    session_time: Moment | None
    created: Moment | None
    finished: Moment | None
    length: str
    reason: str


def attempt_row(attempt: Attempt, now: datetime, *, schedule: Schedule | None = None) -> AttemptRow:
    """Needs `with_names()` and the workflow's schedule, unless `schedule` is at hand."""
    session = attempt.session
    schedule = schedule or schedule_of(session)
    where = zone_of(attempt, schedule)
    return AttemptRow(
        href=reverse("attempt", args=[attempt.pk]),
        number=attempt.pk,
        name=attempt.name,
        state=state_of(attempt),
        workflow=session.workflow.name,
        project=session.workflow.project.name,
        session_href=reverse("session", args=[attempt.session_id]),
        schedule_href=reverse("schedule", args=[schedule.pk]) if schedule else "",
        session_time=moment(session.session_time, where, now),
        created=moment(attempt.created_at, where, now),
        finished=moment(attempt.finished_at, where, now),
        length=length_of(attempt, now),
        reason=reason_text(attempt)[:REASON_LENGTH],
    )


def state_of(attempt: Attempt) -> State:
    if attempt.status == AttemptStatus.QUEUED and attempt.released_at is None:
        return WAITING
    if attempt.status == AttemptStatus.QUEUED and attempt.started_at is not None:
        return BEGUN
    return ATTEMPT_STATES[attempt.status]


def schedule_of(session: Session) -> Schedule | None:
    """The schedule of the session's workflow, while it has one."""
    try:
        return session.workflow.schedule
    except ObjectDoesNotExist:
        return None


def zone_of(attempt: Attempt, schedule: Schedule | None) -> tzinfo:
    return zone_or_utc(schedule.timezone if schedule else attempt.definition.timezone)


def length_of(attempt: Attempt, now: datetime) -> str:
    """How long it ran, or has been running so far; empty before it starts."""
    if attempt.started_at is None:
        return ""
    return duration((attempt.finished_at or now) - attempt.started_at)


def reason_text(attempt: Attempt) -> str:
    """Why it ended as it did, in one line: the message, and the task that it is about."""
    reason = attempt.reason if isinstance(attempt.reason, dict) else {"message": attempt.reason}
    message = text_of(reason.get("message", ""))
    task = text_of(reason.get("task", ""))
    return f"{task}: {message}" if task and message else message or task


def text_of(value: object) -> str:
    """Text as it is; anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
