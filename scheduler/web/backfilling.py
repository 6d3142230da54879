"""The backfill form of one schedule: preview, then confirm. The preview is the verb's dry run; confirming runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from scheduler.backfill import BackfillConflict, Plan, ScheduleNotFound, backfill
from scheduler.errors import InvalidInput
from scheduler.models import Backfill, Schedule
from scheduler.models.backfill import Only
from scheduler.web.crumbs import workflow_crumbs
from scheduler.web.errors import Gone
from scheduler.web.forms import BackfillForm
from scheduler.web.frame import BACKFILL, Page, signed_in
from scheduler.web.paging import time_of
from scheduler.web.plan_table import PlanTable, pace_text, plan_table, sessions_text
from scheduler.web.times import local_text, zone_or_utc


@dataclass(frozen=True)
class Hidden:
    name: str
    text: str


@dataclass(frozen=True)
class Confirm:
    """The button that runs a plan: its words, and what it sends."""

    text: str
    name: str
    pace: str
    values: list[Hidden]


class PlanChanged(Exception):  # noqa: N818 - named as the fact
    """What would run now is not what was previewed; nothing was written."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("The plan has changed.")
        self.plan = plan


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def backfill_form(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = get_object_or_404(Schedule.objects.visible_to(request.user).with_names(), pk=schedule_id)
    if not request.user.has_perm(BACKFILL):
        raise PermissionDenied("Backfilling needs the permission “Can backfill schedules”.")
    now = timezone.now()
    if request.method != "POST":
        form = BackfillForm(schedule=schedule, now=now, initial=_wanted(request, schedule))
        return _page(request, schedule, form)
    form = BackfillForm(request.POST, schedule=schedule, now=now)
    if not form.is_valid():
        return _page(request, schedule, form)
    confirmed = request.POST.get("action") == "run" and not form.cleaned_data["dry_run"]
    try:
        plan = _run(request, schedule, form) if confirmed else _planned(schedule, form)
    except InvalidInput as refusal:
        form.refuse(refusal)
        return _page(request, schedule, form)
    except BackfillConflict as conflict:
        return _page(request, schedule, form, plan=conflict.plan, refusal=conflict_text(conflict.plan))
    except PlanChanged as changed:
        text = "The schedule has moved on since the preview, or attempts have ended, so other sessions would run now."
        text = f"{text} Look again."
        return _page(request, schedule, form, plan=changed.plan, refusal=text)
    except ScheduleNotFound as gone:
        raise Gone(gone.message) from gone
    if confirmed and plan.backfill:
        return redirect("backfill", plan.backfill.pk)
    return _page(request, schedule, form, plan=plan)


def _wanted(request: HttpRequest, schedule: Schedule) -> dict[str, str]:
    """What a link to the form fills in: which time, and which of its sessions."""
    wanted = {}
    for field, parameter in (("from_time", "from"), ("to_time", "to")):
        time = time_of(request, parameter)
        if time is not None:
            wanted[field] = local_text(time, zone_or_utc(schedule.timezone))
    if request.GET.get("only") in Only.values:
        wanted["only"] = request.GET["only"]
    if request.GET.get("count", "").isdecimal():
        wanted["count"] = request.GET["count"][:9]
    return wanted


def _planned(schedule: Schedule, form: BackfillForm) -> Plan:
    return backfill(schedule_id=schedule.pk, **form.asked, dry_run=True, now=timezone.now())


def _run(request: HttpRequest, schedule: Schedule, form: BackfillForm) -> Plan:
    """Run exactly the sessions that were previewed, or nothing. Raises PlanChanged where they are others now."""
    with transaction.atomic():
        plan = backfill(
            schedule_id=schedule.pk,
            **form.asked,
            dry_run=False,
            now=timezone.now(),
            requested_by=request.user if request.user.is_authenticated else None,
        )
        if plan_table(plan, limit=0).fingerprint != request.POST.get("plan"):
            raise PlanChanged(plan)
    return plan


def conflict_text(plan: Plan) -> str:
    name, conflicts = plan.request.attempt_name, len(plan.conflicts)
    named = sum(item.conflict is not None and item.conflict.name == name for item in plan.conflicts)
    text = f"{conflicts:,} of {sessions_text(len(plan.planned))} cannot run as asked."
    if named == conflicts:
        return f"{text} They have an attempt of this name: choose another name to run them again."
    return f"{text} Wait until the attempts that are not done have ended, or start from another time."


def _page(
    request: HttpRequest, schedule: Schedule, form: BackfillForm, *, plan: Plan | None = None, refusal: str = ""
) -> HttpResponse:
    if plan is None:
        form.focus_first_error()
    table = plan_table(plan) if plan else None
    facts: dict[str, Any] = {
        "page": Page(
            title=f"Backfill {schedule.workflow.name}",
            at="schedules",
            crumbs=workflow_crumbs(schedule.workflow, schedule),
        ),
        "form": form,
        "plan": table,
        "refusal": refusal,
        "confirm": _confirm(form, table),
        "existing": _existing(request, schedule, plan) if plan and refusal and plan.conflicts else None,
        "schedule_href": reverse("schedule", args=[schedule.pk]),
    }
    return render(request, "hindcast/backfill_form.html", facts)


def _confirm(form: BackfillForm, table: PlanTable | None) -> Confirm | None:
    """None where there is nothing that could be run."""
    if table is None or table.conflicts or not table.sessions or form.cleaned_data.get("dry_run"):
        return None
    kept = [Hidden(name, str(form[name].value() or "")) for name in form.fields if name != "dry_run"]
    values = [*kept, Hidden("plan", table.fingerprint)]
    pace = pace_text(form.asked["concurrency"])
    return Confirm(f"Run {sessions_text(table.sessions)}", form.cleaned_data["attempt_name"], pace, values)


def _existing(request: HttpRequest, schedule: Schedule, plan: Plan) -> dict[str, str] | None:
    """The backfill of this name, where there is one: after a double click it is what was asked for."""
    rows = Backfill.objects.visible_to(request.user).filter(schedule=schedule, name=plan.request.attempt_name)
    found = rows.order_by("-pk").first()
    return {"name": found.name, "href": reverse("backfill", args=[found.pk])} if found else None
