"""Actions on attempts: kill, and retry from the first task that did not succeed. Each asks once, naming the count."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from projects.admin.confirm import YES, confirm, is_confirmed
from projects.admin.selection import at_most
from scheduler import attempts
from scheduler.admin.cells import schedule_of
from scheduler.errors import HindcastError
from scheduler.models import Attempt
from scheduler.models.attempt import RETRIABLE
from scheduler.web.acting import retry, retry_name
from scheduler.web.rows import zone_of
from scheduler.web.times import local_text

MOST = 100  # in one go


def kill(admin: Any, request: HttpRequest, rows: QuerySet[Attempt], *, now: datetime) -> HttpResponse | None:
    selected = _selected(admin, request, rows.filter(status__in=attempts.KILLABLE), "queued or running")
    if not selected:
        return None
    if not is_confirmed(request):
        text = "Queued attempts are killed at once. Those that run are told to stop, and killed if they do not."
        return _ask(admin, request, selected, "kill", f"Kill {counted(len(selected))}", text)
    killed = [attempt for attempt in selected if attempts.kill(attempt.pk, now=now)]
    for attempt in killed:
        admin.log_change(request, attempt, "Killed.")
    admin.message_user(request, f"{len(killed)} of {counted(len(selected))} killed.", messages.SUCCESS)
    return None


def retry_failed(admin: Any, request: HttpRequest, rows: QuerySet[Attempt], *, now: datetime) -> HttpResponse | None:
    latest = rows.filter(status__in=RETRIABLE, is_latest=True)
    selected = _selected(admin, request, latest, "the latest of its session and failed or killed")
    if not selected:
        return None
    if not is_confirmed(request):
        text = "Each session gets a new attempt. Tasks that succeeded are not run again."
        return _ask(admin, request, selected, "retry_failed", f"Retry {counted(len(selected))}", text)
    refusals = [refusal for attempt in selected if (refusal := _retried(admin, request, attempt, now))]
    started = len(selected) - len(refusals)
    admin.message_user(
        request,
        " ".join([f"{started} of {counted(len(selected))} retried.", *refusals[:5]]),
        messages.SUCCESS if started else messages.WARNING,
    )
    return None


def _retried(admin: Any, request: HttpRequest, attempt: Attempt, now: datetime) -> str:
    """Why not; empty when it was."""
    try:
        made = retry(attempt, retry_name(attempt, now), resume=True, now=now)
    except HindcastError as refusal:
        return refusal.message
    admin.log_change(request, attempt, f"Retried as attempt {made.pk}.")
    return ""


def _selected(admin: Any, request: HttpRequest, rows: QuerySet[Attempt], what: str) -> list[Attempt]:
    related = rows.select_related("definition", "session__workflow__project", "session__workflow__schedule")
    found = at_most(MOST, admin, request, related.defer("definition__document").order_by("pk"))
    if found == []:
        admin.message_user(request, f"None of the selected attempts is {what}.", messages.WARNING)
    return found or []


def _ask(admin: Any, request: HttpRequest, rows: list[Attempt], action: str, button: str, text: str) -> HttpResponse:
    lines = [line_of(row) for row in rows]
    return confirm(admin, request, rows, action=action, buttons=[(YES, button)], text=text, lines=lines)


def line_of(attempt: Attempt) -> str:
    """`817: hourly_orders, 2026-11-12 07:00 −08:00, running`, by the clocks of its schedule."""
    workflow = attempt.session.workflow
    at = local_text(attempt.session.session_time, zone_of(attempt, schedule_of(workflow)))
    return f"{attempt.pk}: {workflow.name}, {at}, {attempt.status}"


def counted(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"
