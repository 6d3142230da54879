"""What went wrong lately and still stands, by workflow: the first thing that people come for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.urls import reverse

from scheduler.models import Attempt, AttemptStatus, Schedule
from scheduler.timetable import TimetableError
from scheduler.web.rows import REASON_LENGTH, reason_text, schedule_of, zone_of
from scheduler.web.strips import backfill_href
from scheduler.web.times import Moment, moment, relative

SHOWN = 5
# How many of the newest failures are looked through for ones that still stand.
LOOKED_AT = 200
SINCE = timedelta(days=7)


@dataclass(frozen=True)
class Problem:
    """The failures of one workflow. `backfill_href` runs them again, where there is a schedule to do it with."""

    workflow: str
    schedule_href: str
    count: str
    since: Moment | None
    last: str
    reason: str
    attempt_href: str
    backfill_href: str


def problems(user: AbstractBaseUser | AnonymousUser, now: datetime, *, may_backfill: bool) -> list[Problem]:
    """The workflows with the newest failures that no later attempt has mended."""
    newest = Attempt.objects.filter(status=AttemptStatus.ERROR).order_by("-pk").values("pk")[:LOOKED_AT]
    standing = Attempt.objects.visible_to(user).filter(pk__in=newest, is_latest=True)
    rows = standing.with_names().select_related("session__workflow__project", "session__workflow__schedule")
    by_workflow: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in rows.defer("definition__document", "params").order_by("-pk"):
        by_workflow[attempt.session.workflow_id].append(attempt)
    fresh = [failed for failed in by_workflow.values() if _end_of(failed[0], now) >= now - SINCE]
    return [_problem(failed, now, may_backfill) for failed in fresh[:SHOWN]]


def _end_of(attempt: Attempt, now: datetime) -> datetime:
    return attempt.finished_at or now


def _problem(failed: Sequence[Attempt], now: datetime, may_backfill: bool) -> Problem:
    latest = failed[0]
    schedule = schedule_of(latest.session)
    times = [attempt.session.session_time for attempt in failed]
    return Problem(
        workflow=latest.session.workflow.name,
        schedule_href=reverse("schedule", args=[schedule.pk]) if schedule else "",
        count=f"{len(failed)}{'+' if len(failed) >= LOOKED_AT else ''} failed",
        since=moment(min(times), zone_of(latest, schedule), now),
        last=relative(_end_of(latest, now), now),
        reason=reason_text(latest)[:REASON_LENGTH],
        attempt_href=reverse("attempt", args=[latest.pk]),
        backfill_href=_backfill_href(schedule, min(times), max(times)) if schedule and may_backfill else "",
    )


def _backfill_href(schedule: Schedule, first: datetime, last: datetime) -> str:
    """The form, filled in so that it runs from the first failure to the last."""
    try:
        slots = schedule.timetable.between(first, last + timedelta(seconds=1))
    except TimetableError:
        return ""
    span = list(islice(slots, LOOKED_AT * 10))
    return backfill_href(schedule.pk, span[0].run_time, count=len(span)) if span else ""
