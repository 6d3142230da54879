"""The switches of a schedule: disable, enable, and skip to a later time."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from scheduler import schedules as verbs
from scheduler.backfill import ScheduleNotFound
from scheduler.models import Schedule
from scheduler.schedules import Skipped
from scheduler.web import enabling
from scheduler.web.asking import Button, ask
from scheduler.web.crumbs import workflow_crumbs
from scheduler.web.errors import Gone
from scheduler.web.frame import CHANGE, Page, signed_in
from scheduler.web.plan_table import sessions_text
from scheduler.web.skipping import EXPLAINED, SkipForm, mark, next_text, preview_text, skip

SKIP = "skip"


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def schedule_disable(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """The button of the schedule's page does it at once; who comes from elsewhere is asked."""
    schedule = _changeable(request, schedule_id)
    if request.method != "POST":
        if schedule.disabled_at:
            return redirect("schedule", schedule_id)
        text = "Disabling stops new sessions. What runs goes on, and backfills still work."
        return _ask(request, schedule, "Disable", text, [Button("Disable")])
    changed = verbs.disable(schedule.pk, now=timezone.now())
    messages.info(request, "Disabled. No new sessions start." if changed else "It was disabled already.")
    return redirect("schedule", schedule_id)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def schedule_enable(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Asks what is to become of the sessions that came due meanwhile, where there are any."""
    schedule, now = _changeable(request, schedule_id), timezone.now()
    if request.method != "POST" and schedule.disabled_at is None:
        return redirect("schedule", schedule_id)
    choice = request.POST.get("choice", "")
    due = enabling.due_of([schedule], now=now) if choice not in (enabling.RUN, enabling.SKIP) else {}
    if due or request.method != "POST":
        return _ask_to_enable(request, schedule, due)
    try:
        done = enabling.enable(schedule, choice=choice, now=now)
    except ScheduleNotFound as gone:
        raise Gone(gone.message) from gone
    (messages.error if done.refused else messages.info)(request, done.text)
    return redirect("schedule", schedule_id)


def _ask_to_enable(request: HttpRequest, schedule: Schedule, due: dict[Schedule, int]) -> HttpResponse:
    if not due:
        text = "No session came due while it was disabled. The next one starts as planned."
        return _ask(request, schedule, "Enable", text, [Button("Enable", enabling.RUN)])
    count = enabling.due_text(due[schedule])
    texts = (f"While it was disabled, {count} came due.", enabling.rules_text(due), enabling.LATER)
    return _ask(request, schedule, "Enable", " ".join(filter(None, texts)), enabling.buttons(due))


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def schedule_skip(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """A time or a count, then the dry run, then the same for good."""
    schedule, now = _changeable(request, schedule_id), timezone.now()
    form = SkipForm(request.POST if request.method == "POST" else None, schedule=schedule)
    if not form.is_bound or not form.is_valid():
        return _ask_to_skip(request, form)
    try:
        preview = skip(form, dry_run=True, now=now)
        if preview is None or request.POST.get("choice") != SKIP or form.cleaned_data["seen"] != mark(preview):
            return _ask_to_skip(request, form, preview)
        skipped = skip(form, dry_run=False, now=now)
    except ScheduleNotFound as gone:
        raise Gone(gone.message) from gone
    if skipped is None:
        return _ask_to_skip(request, form)
    messages.info(request, f"{sessions_text(len(skipped.slots))} skipped.")
    return redirect("schedule", schedule.pk)


def _ask_to_skip(request: HttpRequest, form: SkipForm, preview: Skipped | None = None) -> HttpResponse:
    text = f"{next_text(form.schedule)} {EXPLAINED}"
    buttons = [Button("Preview")]
    if preview:
        form.data = {**dict(form.data.items()), "seen": mark(preview)}
        text = preview_text(preview)
        buttons = [Button(f"Skip {sessions_text(len(preview.slots))}", SKIP), Button("Preview")]
    else:
        form.focus_first_error()
    return _ask(request, form.schedule, "Skip sessions of", text, buttons, form=form, is_answer=preview is not None)


def _ask(
    request: HttpRequest,
    schedule: Schedule,
    verb: str,
    text: str,
    buttons: list[Button],
    *,
    form: SkipForm | None = None,
    is_answer: bool = False,
) -> HttpResponse:
    page = _page(schedule, f"{verb} {schedule.workflow.name}")
    refusal = " ".join(str(error) for error in form.non_field_errors()) if form else ""
    back = reverse("schedule", args=[schedule.pk])
    return ask(request, page, text=text, buttons=buttons, back=back, form=form, refusal=refusal, is_answer=is_answer)


def _page(schedule: Schedule, title: str) -> Page:
    return Page(title=title, at="schedules", crumbs=workflow_crumbs(schedule.workflow, schedule))


def _changeable(request: HttpRequest, schedule_id: int) -> Schedule:
    schedule = get_object_or_404(Schedule.objects.visible_to(request.user).with_names(), pk=schedule_id)
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied("Enabling, disabling and skipping needs the permission “Can change schedule”.")
    return schedule
