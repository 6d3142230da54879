"""Actions on backfills: kill, which asks once with the count, and retry, which the page of one backfill asks about."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from projects.admin.confirm import YES, confirm, is_confirmed
from projects.admin.selection import at_most
from scheduler import attempts
from scheduler.models import Backfill
from scheduler.retrying import ScheduleGone
from scheduler.web.backfill_acting import attempts_text, counts_of, kill_button, kill_text, killable, killed_text

MOST = 50  # in one go


def kill(admin: Any, request: HttpRequest, rows: QuerySet[Backfill], *, now: datetime) -> HttpResponse | None:
    selected = at_most(MOST, admin, request, rows.select_related("workflow").order_by("pk"))
    if selected is None:
        return None
    if is_confirmed(request):
        report(admin, request, [(row, attempts.kill_backfill(row.pk, now=now)) for row in selected])
        return None
    counts = {row: counts_of(row) for row in selected}
    going = [row for row in selected if killable(counts[row])]
    if not going:
        admin.message_user(request, "Nothing of the selected backfills waits or runs.", messages.WARNING)
        return None
    count = sum(killable(counts[row]) for row in going)
    what = f"the backfill “{going[0].name}”" if len(going) == 1 else f"{len(going)} backfills"
    return confirm(
        admin,
        request,
        going,
        action="kill",
        title=f"Kill {what}",
        buttons=[(YES, kill_button(count))],
        text=f"{attempts_text(count)} will be killed. What is done stays done.",
        lines=[f"“{row.name}” of {row.workflow.name}: {kill_text(counts[row])}" for row in going],
    )


def report(admin: Any, request: HttpRequest, killed: list[tuple[Backfill, int]]) -> None:
    for row, count in killed:
        if count:
            admin.log_change(request, row, f"Killed {attempts_text(count)}.")
    count = sum(count for _, count in killed)
    text = killed_text(count) if count else "Nothing of the selected backfills waits or runs."
    admin.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


def retry(admin: Any, request: HttpRequest, rows: QuerySet[Backfill]) -> HttpResponse | None:
    """One at a time, as each has a plan to be looked at and a name."""
    selected = list(rows[:2])
    if len(selected) != 1:
        admin.message_user(request, "Select one backfill to retry what failed of it.", messages.WARNING)
        return None
    if selected[0].schedule_id is None:
        admin.message_user(request, ScheduleGone(selected[0]).message, messages.WARNING)
        return None
    return HttpResponseRedirect(reverse("backfill_retry", args=[selected[0].pk]))
