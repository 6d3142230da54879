"""The page of one session: every attempt to run it."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from scheduler.models import Attempt, Schedule, Session
from scheduler.web.crumbs import session_crumbs
from scheduler.web.frame import BACKFILL, Page, is_staff, signed_in
from scheduler.web.paging import key_of, key_page
from scheduler.web.rows import attempt_row, schedule_of
from scheduler.web.slots import slot_facts
from scheduler.web.strips import backfill_href
from scheduler.web.times import local_text, moment, zone_or_utc

PAGE_SIZE = 50


@require_safe
@signed_in
def session_page(request: HttpRequest, session_id: int) -> HttpResponse:
    now = timezone.now()
    rows = Session.objects.visible_to(request.user).select_related("workflow__project", "workflow__schedule")
    session = get_object_or_404(rows, pk=session_id)
    schedule = schedule_of(session)
    before = key_of(request, "before")
    attempts = session.attempts.select_related("definition").defer("definition__document", "params").order_by("-index")
    if before is not None:
        attempts = attempts.filter(index__lt=before)
    found = list(attempts[: PAGE_SIZE + 1])
    for attempt in found:
        attempt.session = session
    zone_name = _zone_name(schedule, found)
    where = zone_or_utc(zone_name)
    run_time, clock_change = slot_facts(schedule, session.session_time)
    facts = {
        "page": Page(
            title=f"Session {local_text(session.session_time, where)}",
            at="schedules",
            crumbs=session_crumbs(session, schedule, zone_name)[:-1],
        ),
        "zone": zone_name,
        "time": moment(session.session_time, where, now),
        "uuid": str(session.uuid),
        "clock_change": clock_change,
        "list": key_page(
            [attempt_row(attempt, now, schedule=schedule) for attempt in found],
            size=PAGE_SIZE,
            key="before",
            last=found[:PAGE_SIZE][-1].index if found else None,
            start=before,
            kept={},
        ),
        "backfill_href": backfill_href(schedule.pk, run_time, count=1)
        if schedule and request.user.has_perm(BACKFILL)
        else "",
        "admin_href": reverse("admin:scheduler_session_change", args=[session.pk]) if is_staff(request) else "",
    }
    return render(request, "hindcast/session.html", facts)


def _zone_name(schedule: Schedule | None, attempts: Sequence[Attempt]) -> str:
    """The schedule's; without one, that of the workflow as its newest attempt ran it."""
    if schedule:
        return schedule.timezone
    return attempts[0].definition.timezone if attempts else "UTC"
