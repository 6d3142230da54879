"""What went wrong lately and still stands, by workflow: the first thing that people come for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Count, Min
from django.urls import reverse

from projects.access import listed_for
from scheduler.models import Attempt, AttemptStatus, Schedule
from scheduler.models.attempt import AttemptQuerySet
from scheduler.models.backfill import Only
from scheduler.timetable import TimetableError
from scheduler.web.rows import REASON_LENGTH, reason_text, schedule_of, zone_of
from scheduler.web.strips import backfill_href
from scheduler.web.times import Moment, moment, relative

SHOWN = 5
SINCE = timedelta(days=7)
# How many of the newest failures are read at once to find the workflows that they are of.
LOOKED_AT = 100
COUNTED = 10_000


@dataclass(frozen=True)
class Problem:
    """The failures of one workflow. At `backfill_href` they are run again, where there is a schedule to do it with."""

    workflow: str
    schedule_href: str
    count: str
    since: Moment | None
    last: str
    reason: str
    attempt_href: str
    backfill_href: str
    is_cut: bool
    """There may be more of them, and earlier ones, than were counted."""


@dataclass(frozen=True)
class Failures:
    """Of one workflow: the latest, how many, and the first session time of them."""

    latest: Attempt
    count: int
    first: datetime
    is_cut: bool


def problems(user: AbstractBaseUser | AnonymousUser, now: datetime, *, may_backfill: bool) -> list[Problem]:
    """The workflows with the newest failures that no later attempt has mended."""
    rows = Attempt.objects.filter(listed_for(user, "workflow__project"), status=AttemptStatus.ERROR, is_latest=True)
    standing = rows.filter(finished_at__gte=now - SINCE).order_by("-pk")
    return [_problem(failures, now, may_backfill) for failures in _counted(standing, _newest(standing))]


def _newest(standing: AttemptQuerySet) -> dict[int, Attempt]:
    """The newest failure of each of the first SHOWN workflows.

    A workflow that fails all the time hides no other one: what is found is left out of the next look.
    """
    rows = standing.with_names().select_related("session__workflow__schedule").defer("definition__document", "params")
    found: dict[int, Attempt] = {}
    more = True
    while more and len(found) < SHOWN:
        newest = list(rows.exclude(workflow__in=list(found))[:LOOKED_AT])
        for attempt in newest:
            found.setdefault(attempt.workflow_id, attempt)
        more = len(newest) == LOOKED_AT
    return dict(islice(found.items(), SHOWN))


def _counted(standing: AttemptQuerySet, newest: Mapping[int, Attempt]) -> list[Failures]:
    """What else failed of these workflows, up to COUNTED failures of all of them."""
    of_them = standing.filter(workflow__in=list(newest)).values("pk")[:COUNTED]
    rows = Attempt.objects.filter(pk__in=of_them).order_by().values_list("workflow")
    found = {pk: (1, latest.session.session_time) for pk, latest in newest.items()}
    found.update((pk, (count, first)) for pk, count, first in rows.annotate(Count("pk"), Min("session__session_time")))
    is_cut = sum(count for count, _ in found.values()) >= COUNTED
    return [Failures(latest, *found[pk], is_cut) for pk, latest in newest.items()]


def _problem(failures: Failures, now: datetime, may_backfill: bool) -> Problem:
    latest = failures.latest
    schedule = schedule_of(latest.session)
    where = zone_of(latest, schedule)
    return Problem(
        workflow=latest.session.workflow.name,
        schedule_href=reverse("schedule", args=[schedule.pk]) if schedule else "",
        count=f"{failures.count:,}{'+' if failures.is_cut else ''} failed",
        since=moment(failures.first, where, now),
        last=relative(latest.finished_at or now, now),
        reason=reason_text(latest)[:REASON_LENGTH],
        attempt_href=reverse("attempt", args=[latest.pk]),
        backfill_href=_backfill_href(failures, schedule) if schedule and may_backfill else "",
        is_cut=failures.is_cut,
    )


def _backfill_href(failures: Failures, schedule: Schedule) -> str:
    """Runs what failed, from the first of it on; empty where that time is none of the schedule's any more."""
    try:
        slot = next(schedule.timetable.between(failures.first, failures.first + timedelta(seconds=1)), None)
    except TimetableError:
        return ""
    return backfill_href(schedule.pk, slot.run_time, only=Only.FAILED) if slot else ""
