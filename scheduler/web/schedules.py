"""The list of schedules, the page of one, and what its switches say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from scheduler.models import Backfill, Schedule, Session
from scheduler.models.schedule import ScheduleQuerySet
from scheduler.timetable import TimetableError
from scheduler.web.backfills import BackfillRow, backfill_rows
from scheduler.web.crumbs import workflow_crumbs
from scheduler.web.frame import BACKFILL, CHANGE, Page, is_staff, signed_in
from scheduler.web.paging import key_of, key_page, time_of
from scheduler.web.policies import policy_sentences, skip_rows
from scheduler.web.problems import problems
from scheduler.web.rows import AttemptRow, attempt_row
from scheduler.web.slots import slot_facts
from scheduler.web.strips import EMPTY, Strip, backfill_href, since_annotated, strips
from scheduler.web.times import Moment, moment, zone_or_utc

PAGE_SIZE = 50
SESSIONS_PAGE_SIZE = 50
UPCOMING = 5
FAILING_SHOWN = 5


@dataclass(frozen=True)
class ScheduleRow:
    """One schedule in the list. `next_note` stands where there is no next run, and says why."""

    href: str
    name: str
    project: str
    project_href: str
    timetable: str
    next_run: Moment | None
    next_note: str
    error: str
    strip: Strip


@dataclass(frozen=True)
class Upcoming:
    session: Moment | None
    run: Moment | None
    clock_change: str


@require_safe
@signed_in
def schedule_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    query = request.GET.get("q", "").strip()[:200].replace("\x00", "")
    after = key_of(request, "after")
    rows = list(_after(_named(query, request.user), after)[: PAGE_SIZE + 1])
    shown = rows[:PAGE_SIZE]
    drawn = strips(shown, every_link=False)
    page = key_page(
        [schedule_row(row, drawn.get(row.pk), now) for row in rows],
        size=PAGE_SIZE,
        key="after",
        last=shown[-1].pk if shown else None,
        start=after,
        kept={"q": query},
    )
    facts = {
        "page": Page(title="Schedules", at="schedules"),
        "list": page,
        "query": query,
        "problems": [] if query or after else problems(request.user, now, may_backfill=request.user.has_perm(BACKFILL)),
        "failing": [] if query or after else failing(request.user, now),
    }
    return render(request, "hindcast/schedules.html", facts)


def _named(query: str, user: AbstractBaseUser | AnonymousUser) -> ScheduleQuerySet:
    rows = since_annotated(Schedule.objects.visible_to(user).with_names()).defer("definition__document")
    rows = rows.order_by("workflow__name", "pk")
    if query:
        rows = rows.filter(Q(workflow__name__icontains=query) | Q(workflow__project__name__icontains=query))
    return rows


def _after(rows: ScheduleQuerySet, key: int | None) -> ScheduleQuerySet:
    """The rows that follow the schedule `key` by name; from the top when it is gone."""
    name = Schedule.objects.filter(pk=key).values_list("workflow__name", flat=True).first() if key else None
    if name is None:
        return rows
    return rows.filter(Q(workflow__name__gt=name) | Q(workflow__name=name, pk__gt=key))


def failing(user: AbstractBaseUser | AnonymousUser, now: datetime) -> list[ScheduleRow]:
    """Schedules that the ticker could not run."""
    rows = Schedule.objects.visible_to(user).with_names().defer("definition__document")
    rows = rows.filter(failures__gt=0).exclude(error="").order_by("-pk")
    return [schedule_row(row, None, now) for row in rows[:FAILING_SHOWN]]


def schedule_row(schedule: Schedule, strip: Strip | None, now: datetime) -> ScheduleRow:
    return ScheduleRow(
        href=reverse("schedule", args=[schedule.pk]),
        name=schedule.workflow.name,
        project=schedule.workflow.project.name,
        project_href=reverse("project", args=[schedule.workflow.project_id]),
        timetable=described(schedule),
        next_run=None if schedule.disabled_at else moment(schedule.next_run_time, zone_or_utc(schedule.timezone), now),
        next_note="disabled" if schedule.disabled_at else "" if schedule.next_run_time else "no more runs",
        error=schedule.error[:300],
        strip=strip or EMPTY,
    )


def described(schedule: Schedule) -> str:
    """The timetable in words, with its zone; what stands in the row when that is no timetable."""
    try:
        text = schedule.timetable.describe()
    except TimetableError:
        return f"{schedule.kind}>: {schedule.expression}"
    return text if schedule.timezone in text else f"{text}, {schedule.timezone}"


@require_safe
@signed_in
def schedule_page(request: HttpRequest, schedule_id: int) -> HttpResponse:
    now = timezone.now()
    schedule = visible_schedule(request, schedule_id)
    strip = strips([schedule], every_link=True)[schedule.pk]
    may_backfill, may_change = request.user.has_perm(BACKFILL), request.user.has_perm(CHANGE)
    facts: dict[str, Any] = {
        "page": Page(
            title=schedule.workflow.name, at="schedules", crumbs=workflow_crumbs(schedule.workflow, schedule)[:-1]
        ),
        "schedule": schedule_row(schedule, strip, now),
        "zone": schedule.timezone,
        "disabled_since": moment(schedule.disabled_at, zone_or_utc(schedule.timezone), now),
        "upcoming": upcoming(schedule, now),
        "policies": policy_sentences(schedule),
        "pool": schedule.pool.name if schedule.pool else "",
        "skips": skip_rows(schedule, time_of(request, "skipped_before"), now),
        "sessions": session_rows(schedule, time_of(request, "before"), now),
        "backfills": recent_backfills(schedule, now),
        "backfills_href": f"{reverse('backfills')}?schedule={schedule.pk}",
        "backfill_href": reverse("backfill_form", args=[schedule.pk]) if may_backfill else "",
        "switch": switch(schedule) if may_change else None,
        "skip_href": reverse("schedule_skip", args=[schedule.pk]) if may_change and schedule.next_run_time else "",
        "admin_href": reverse("admin:scheduler_schedule_change", args=[schedule.pk]) if is_staff(request) else "",
    }
    return render(request, "hindcast/schedule.html", facts)


def visible_schedule(request: HttpRequest, schedule_id: int) -> Schedule:
    rows = since_annotated(Schedule.objects.visible_to(request.user).with_names().select_related("pool"))
    return get_object_or_404(rows, pk=schedule_id)


def upcoming(schedule: Schedule, now: datetime) -> list[Upcoming]:
    if schedule.next_session_time is None:
        return []
    try:
        timetable = schedule.timetable
    except TimetableError:
        return []
    where = zone_or_utc(schedule.timezone)
    return [
        Upcoming(
            session=moment(slot.session_time, where, now),
            run=moment(slot.run_time, where, now),
            clock_change=timetable.shift(slot.session_time) or "",
        )
        for slot in islice(timetable.between(schedule.next_session_time, None), UPCOMING)
    ]


def session_rows(schedule: Schedule, before: datetime | None, now: datetime) -> Any:
    """The schedule's sessions, newest first, each with its latest attempt."""
    rows = Session.objects.filter(workflow=schedule.workflow_id).order_by("-session_time")
    if before is not None:
        rows = rows.filter(session_time__lt=before)
    found = list(rows.with_latest_attempt()[: SESSIONS_PAGE_SIZE + 1])
    for session in found:
        session.workflow = schedule.workflow  # known; saves a query per row
    shown = found[:SESSIONS_PAGE_SIZE]
    last = shown[-1].session_time.isoformat() if shown else None
    lines = [session_row(schedule, session, now) for session in found]
    return key_page(lines, size=SESSIONS_PAGE_SIZE, key="before", last=last, start=before, kept={})


@dataclass(frozen=True)
class SessionRow:
    href: str
    time: Moment | None
    clock_change: str
    attempt: AttemptRow | None
    backfill_href: str


def session_row(schedule: Schedule, session: Session, now: datetime) -> SessionRow:
    run_time, clock_change = slot_facts(schedule, session.session_time)
    latest = session.latest_attempt
    if latest is not None:
        latest.session = session
    return SessionRow(
        href=reverse("session", args=[session.pk]),
        time=moment(session.session_time, zone_or_utc(schedule.timezone), now),
        clock_change=clock_change,
        attempt=attempt_row(latest, now, schedule=schedule) if latest else None,
        backfill_href=backfill_href(schedule.pk, run_time, count=1),
    )


def recent_backfills(schedule: Schedule, now: datetime) -> Sequence[BackfillRow]:
    rows = Backfill.objects.filter(schedule=schedule.pk).with_names()
    return backfill_rows(list(rows.order_by("-pk")[:5]), now)


@dataclass(frozen=True)
class Switch:
    action: str
    verb: str
    text: str


def switch(schedule: Schedule) -> Switch:
    if schedule.disabled_at:
        text = "When it is enabled, sessions that came due meanwhile are run or skipped, as you choose."
        return Switch(reverse("schedule_enable", args=[schedule.pk]), "Enable", text)
    text = "Disabling stops new sessions. What runs goes on, and backfills still work."
    return Switch(reverse("schedule_disable", args=[schedule.pk]), "Disable", text)
