"""Kill a whole backfill, or run again what failed of it: each asks once, then makes one call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from scheduler import attempts as verbs
from scheduler.backfill import BackfillConflict, Plan, ScheduleNotFound
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Backfill
from scheduler.models.attempt import DONE
from scheduler.retrying import ScheduleGone, retry_failed
from scheduler.web.acting import RetryForm
from scheduler.web.asking import Button, ask
from scheduler.web.backfilling import PlanChanged, conflict_text
from scheduler.web.crumbs import workflow_crumbs
from scheduler.web.errors import Gone
from scheduler.web.frame import BACKFILL, RUN, Link, Page, signed_in
from scheduler.web.plan_table import pace_text, plan_table, sessions_text
from scheduler.web.times import in_zone, zone_or_utc


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def backfill_kill(request: HttpRequest, backfill_id: int) -> HttpResponse:
    backfill = _permitted(
        request, backfill_id, RUN, "Killing needs the permission “Can start, retry and kill attempts”."
    )
    if request.method != "POST":
        counts = counts_of(backfill)
        if not killable(counts):
            messages.info(request, nothing_to_kill(counts))
            return redirect("backfill", backfill.pk)
        page = _page(backfill, f"Kill the backfill “{backfill.name}”")
        buttons = [Button(kill_button(killable(counts)))]
        return ask(request, page, text=kill_text(counts), buttons=buttons, back=page.crumbs[-1].href)
    killed = verbs.kill_backfill(backfill.pk, now=timezone.now())
    messages.info(request, killed_text(killed) if killed else nothing_to_kill(counts_of(backfill)))
    return redirect("backfill", backfill.pk)


def counts_of(backfill: Backfill) -> dict[str, int]:
    """How many of its attempts there are by status."""
    return dict(Attempt.objects.filter(backfill=backfill).values_list("status").annotate(Count("pk")).order_by())


def killable(counts: Mapping[str, int]) -> int:
    return counts.get(AttemptStatus.QUEUED, 0) + counts.get(AttemptStatus.RUNNING, 0)


def kill_button(count: int) -> str:
    return f"Kill {attempts_text(count)}"


def killed_text(count: int) -> str:
    return f"{attempts_text(count)} {'is' if count == 1 else 'are'} being killed. No other starts."


def nothing_to_kill(counts: Mapping[str, int]) -> str:
    ending = counts.get(AttemptStatus.CANCELING, 0)
    return "Its last attempts are being killed already." if ending else "All of its attempts are done already."


def kill_text(counts: Mapping[str, int]) -> str:
    """`11 attempts wait, and are killed at once. 3 attempts are done, and stay so. Nothing of it starts after that.`"""
    waiting, running = counts.get(AttemptStatus.QUEUED, 0), counts.get(AttemptStatus.RUNNING, 0)
    done = sum(counts.get(status, 0) for status in DONE)
    parts = []
    if waiting:
        parts.append(f"{_counted(waiting, 'waits', 'wait')}, and {'is' if waiting == 1 else 'are'} killed at once.")
    if running:
        verb, pronoun = ("is", "it does") if running == 1 else ("are", "they do")
        parts.append(f"{_counted(running, 'runs', 'run')}, and {verb} told to stop, and killed if {pronoun} not.")
    if done:
        parts.append(f"{_counted(done, 'is', 'are')} done, and {'stays' if done == 1 else 'stay'} so.")
    return " ".join([*parts, "Nothing of it starts after that."])


def attempts_text(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count:,} attempts"


def _counted(count: int, one: str, many: str) -> str:
    return f"{attempts_text(count)} {one if count == 1 else many}"


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def backfill_retry(request: HttpRequest, backfill_id: int) -> HttpResponse:
    """The plan of what failed, then the same for good."""
    backfill = _permitted(request, backfill_id, BACKFILL, "It needs the permission “Can backfill schedules”.")
    now, posted = timezone.now(), request.method == "POST"
    form = RetryForm(request.POST if posted else {"name": retry_name(backfill, now)})
    if not form.is_valid():
        return _ask_to_retry(request, backfill, form)
    try:
        plan = _retried(request, backfill, form, dry_run=not (posted and "seen" in request.POST), now=now)
    except InvalidInput as refusal:
        form.add_error("name", [text for texts in refusal.errors.values() for text in texts])
        return _ask_to_retry(request, backfill, form)
    except BackfillConflict as conflict:
        return _ask_to_retry(request, backfill, form, conflict.plan, refusal=conflict_text(conflict.plan))
    except PlanChanged as changed:
        text = "What failed has changed since the preview, so other sessions would run now. Look again."
        return _ask_to_retry(request, backfill, form, changed.plan, refusal=text)
    except (ScheduleGone, ScheduleNotFound) as gone:
        raise Gone(gone.message) from gone
    if plan.planned and plan.backfill is None:
        return _ask_to_retry(request, backfill, form, plan)
    return redirect("backfill", (plan.backfill or _nothing_to_retry(request, backfill, form)).pk)


def _retried(request: HttpRequest, backfill: Backfill, form: RetryForm, *, dry_run: bool, now: datetime) -> Plan:
    """Exactly the sessions that were previewed, or none. Raises PlanChanged, and what the verb raises."""
    name, by = form.cleaned_data["name"], request.user if request.user.is_authenticated else None
    with transaction.atomic():
        plan = retry_failed(backfill, attempt_name=name, dry_run=dry_run, now=now, requested_by=by)
        if plan.backfill and plan_table(plan, limit=0).fingerprint != request.POST["seen"]:
            raise PlanChanged(plan)
    return plan


def _nothing_to_retry(request: HttpRequest, backfill: Backfill, form: RetryForm) -> Backfill:
    """Where to look instead: at the retry of this name after a double click, else at the backfill itself."""
    rows = Backfill.objects.filter(workflow=backfill.workflow_id, name=form.cleaned_data["name"])
    if made := rows.order_by("-pk").first():
        return made
    messages.info(request, "Nothing to retry: no session of it failed, or those that did are being run again.")
    return backfill


def retry_name(backfill: Backfill, now: datetime) -> str:
    """The name that is offered: `retry-2026-03-02-120000`, by the clocks of the schedule."""
    where = zone_or_utc(backfill.schedule.timezone if backfill.schedule else "UTC")
    return f"retry-{in_zone(now, where):%Y-%m-%d-%H%M%S}"


def _ask_to_retry(
    request: HttpRequest, backfill: Backfill, form: RetryForm, plan: Plan | None = None, refusal: str = ""
) -> HttpResponse:
    page, table = _page(backfill, f"Retry what failed of “{backfill.name}”"), plan_table(plan) if plan else None
    runs = table is not None and not table.conflicts
    return ask(
        request,
        page,
        text="Each session of it whose latest attempt failed or was killed gets a new attempt, "
        f"{pace_text(backfill.concurrency)}. All tasks are run, by the workflow as it is now.",
        buttons=[Button(f"Retry {sessions_text(table.sessions)}" if table and runs else "Preview")],
        back=page.crumbs[-1].href,
        form=form,
        refusal=refusal,
        plan=table,
        values={"seen": table.fingerprint} if table and runs else {},
    )


def _page(backfill: Backfill, title: str) -> Page:
    crumbs = workflow_crumbs(backfill.workflow, backfill.schedule)
    crumbs.append(Link(backfill.name, reverse("backfill", args=[backfill.pk])))
    return Page(title=title, at="backfills", crumbs=crumbs)


def _permitted(request: HttpRequest, backfill_id: int, permission: str, refusal: str) -> Backfill:
    rows = Backfill.objects.visible_to(request.user).select_related("workflow__project", "schedule")
    backfill = get_object_or_404(rows, pk=backfill_id)
    if not request.user.has_perm(permission):
        raise PermissionDenied(refusal)
    return backfill
