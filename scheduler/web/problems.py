"""What went wrong lately and still stands, by workflow: the first thing that people come for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import islice

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Count, Max, Min
from django.urls import reverse

from projects.access import listed_for
from scheduler.models import Attempt, AttemptStatus, Schedule
from scheduler.models.attempt import AttemptQuerySet
from scheduler.timetable import TimetableError
from scheduler.web.plan_table import sessions_text
from scheduler.web.rows import REASON_LENGTH, reason_text, schedule_of, zone_of
from scheduler.web.strips import backfill_href
from scheduler.web.times import Moment, local_text, moment, relative

SHOWN = 5
SINCE = timedelta(days=7)
# How many of the newest failures are read at once to find the workflows that they are of.
LOOKED_AT = 100
COUNTED = 10_000
# From the first failure to the last, in sessions: what a backfill of them counts.
SPAN = 2_000


@dataclass(frozen=True)
class Offer:
    """The backfill form, filled in. `text` says how many sessions it runs where that is more than what failed."""

    href: str
    text: str
    label: str


@dataclass(frozen=True)
class Problem:
    """The failures of one workflow. `backfill` runs them again, where there is a schedule to do it with."""

    workflow: str
    schedule_href: str
    count: str
    since: Moment | None
    last: str
    reason: str
    attempt_href: str
    backfill: Offer | None
    is_cut: bool
    """There may be more of them, and earlier ones, than were counted."""


@dataclass(frozen=True)
class Failures:
    """Of one workflow: the latest, how many, and the session times from the first to the last."""

    latest: Attempt
    count: int
    first: datetime
    last: datetime
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
    times = Min("session__session_time"), Max("session__session_time")
    rows = Attempt.objects.filter(pk__in=of_them).order_by().values_list("workflow").annotate(Count("pk"), *times)
    spans = {pk: (1, latest.session.session_time, latest.session.session_time) for pk, latest in newest.items()}
    spans.update((pk, (count, first, last)) for pk, count, first, last in rows)
    is_cut = sum(count for count, _, _ in spans.values()) >= COUNTED
    return [Failures(latest, *spans[pk], is_cut) for pk, latest in newest.items()]


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
        backfill=_offer(failures, schedule, where) if schedule and may_backfill else None,
        is_cut=failures.is_cut,
    )


def _offer(failures: Failures, schedule: Schedule, where: tzinfo) -> Offer | None:
    """Runs from the first failure to the last; to the end of the schedule where they are further apart than SPAN."""
    try:
        slots = schedule.timetable.between(failures.first, failures.last + timedelta(seconds=1))
    except TimetableError:
        return None
    span = list(islice(slots, SPAN + 1))
    if not span:
        return None
    name, begin = schedule.workflow.name, span[0].run_time
    if failures.is_cut or len(span) > SPAN:
        label = f"Backfill {name} from {local_text(span[0].session_time, where)} on"
        return Offer(backfill_href(schedule.pk, begin), "Backfill", label)
    href, to_the_last = backfill_href(schedule.pk, begin, count=len(span)), "from the first failure to the last"
    if len(span) <= failures.count:
        return Offer(href, "Backfill", f"Backfill {name} {to_the_last}")
    text = f"Backfill {sessions_text(len(span))}"
    return Offer(href, text, f"{text} of {name} {to_the_last}")
