"""The switches of a schedule: disable, enable, and skip to a later time."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from scheduler import schedules as verbs
from scheduler.backfill import ScheduleNotFound
from scheduler.errors import InvalidInput
from scheduler.models import Schedule
from scheduler.schedules import MOST_SKIPPED, SkipConflict, Skipped, Target
from scheduler.timetable import TimetableError
from scheduler.web.asking import Button, ask
from scheduler.web.crumbs import workflow_crumbs
from scheduler.web.forms import EXAMPLE, LocalTimeField
from scheduler.web.frame import CHANGE, Page, signed_in
from scheduler.web.plan_table import sessions_text
from scheduler.web.times import local_text, zone_or_utc

RUN, SKIP = "run", "skip"


class SkipForm(forms.Form):
    next_time: LocalTimeField
    seen = forms.CharField(required=False, widget=forms.HiddenInput)  # what the preview showed

    def __init__(self, *args: object, schedule: Schedule, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["next_time"] = LocalTimeField(
            where=zone_or_utc(schedule.timezone),
            zone_name=schedule.timezone,
            label="Skip to",
            help_text=f"The first session that runs at this time or later comes next. Local time in "
            f"{schedule.timezone}, such as {EXAMPLE}, or with an offset.",
            error_messages={"required": "Give the time to skip to."},
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )


@require_POST
@signed_in
def schedule_disable(request: HttpRequest, schedule_id: int) -> HttpResponse:
    changed = verbs.disable(_changeable(request, schedule_id).pk, now=timezone.now())
    messages.info(request, "Disabled. No new sessions start." if changed else "It was disabled already.")
    return redirect("schedule", schedule_id)


@require_POST
@signed_in
def schedule_enable(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Asks what is to become of the sessions that came due meanwhile, where there are any."""
    schedule, now = _changeable(request, schedule_id), timezone.now()
    choice = request.POST.get("choice", "")
    due = _due(schedule) if schedule.disabled_at and choice not in (RUN, SKIP) else 0
    if due:
        return _ask_to_enable(request, schedule, due)
    if choice == SKIP:
        return _enable_past(request, schedule)
    changed = verbs.enable(schedule.pk, now=now)
    messages.info(request, "Enabled." if changed else "It was enabled already.")
    return redirect("schedule", schedule_id)


def _enable_past(request: HttpRequest, schedule: Schedule) -> HttpResponse:
    now = timezone.now()
    try:
        skipped = verbs.enable_past(schedule.pk, Target(now), now=now)
        messages.info(request, f"Enabled. {sessions_text(len(skipped.slots))} skipped.")
    except SkipConflict:  # somebody else did
        verbs.enable(schedule.pk, now=now)
        messages.info(request, "Enabled.")
    except InvalidInput as refusal:
        messages.error(request, f"It was not enabled. {' '.join(_texts(refusal))}")
    except ScheduleNotFound as gone:
        raise Http404(gone.message) from gone
    return redirect("schedule", schedule.pk)


def _due(schedule: Schedule) -> int:
    try:
        return verbs.due_meanwhile(schedule, now=timezone.now())
    except TimetableError:
        return 0


def _ask_to_enable(request: HttpRequest, schedule: Schedule, due: int) -> HttpResponse:
    count = sessions_text(due) if due <= MOST_SKIPPED else f"more than {MOST_SKIPPED:,} sessions"
    return ask(
        request,
        _page(schedule, f"Enable {schedule.workflow.name}"),
        text=f"While it was disabled, {count} came due. Run them now, or skip them? "
        "Skipped sessions are recorded, and can still be backfilled.",
        buttons=[Button("Run them", RUN), Button("Skip them", SKIP)],
        back=reverse("schedule", args=[schedule.pk]),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def schedule_skip(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """A time, then the dry run, then the same for good."""
    schedule = _changeable(request, schedule_id)
    if request.method != "POST":
        return _ask_to_skip(request, schedule, SkipForm(schedule=schedule))
    form = SkipForm(request.POST, schedule=schedule)
    if not form.is_valid():
        return _ask_to_skip(request, schedule, form)
    target = Target(form.cleaned_data["next_time"])
    try:
        preview = verbs.skip(schedule.pk, target, dry_run=True, now=timezone.now())
        if request.POST.get("choice") != SKIP or form.cleaned_data["seen"] != _mark(preview):
            return _ask_to_skip(request, schedule, form, preview)
        skipped = verbs.skip(schedule.pk, target, now=timezone.now())
    except InvalidInput as refusal:
        form.add_error("next_time", _texts(refusal))
        return _ask_to_skip(request, schedule, form)
    except SkipConflict as conflict:
        form.add_error("next_time", conflict.message)
        return _ask_to_skip(request, schedule, form)
    except ScheduleNotFound as gone:
        raise Http404(gone.message) from gone
    messages.info(request, f"{sessions_text(len(skipped.slots))} skipped.")
    return redirect("schedule", schedule.pk)


def _ask_to_skip(
    request: HttpRequest, schedule: Schedule, form: SkipForm, preview: Skipped | None = None
) -> HttpResponse:
    text, buttons = "The sessions before that time do not run. They can still be backfilled.", [Button("Preview")]
    if preview:
        form.data = {**dict(form.data.items()), "seen": _mark(preview)}
        text = f"{sessions_text(len(preview.slots))} would be skipped. {_next_text(preview.schedule)}"
        buttons = [Button(f"Skip {sessions_text(len(preview.slots))}", SKIP), Button("Preview")]
    return ask(
        request,
        _page(schedule, f"Skip sessions of {schedule.workflow.name}"),
        text=text,
        buttons=buttons,
        back=reverse("schedule", args=[schedule.pk]),
        form=form,
    )


def _mark(skipped: Skipped) -> str:
    return f"{len(skipped.slots)} before {skipped.schedule.next_session_time}"


def _texts(refusal: InvalidInput) -> list[str]:
    return [text for texts in refusal.errors.values() for text in texts]


def _next_text(schedule: Schedule) -> str:
    if schedule.next_session_time is None:
        return "No session would come after."
    return f"The next is {local_text(schedule.next_session_time, zone_or_utc(schedule.timezone))}."


def _page(schedule: Schedule, title: str) -> Page:
    return Page(title=title, at="schedules", crumbs=workflow_crumbs(schedule.workflow, schedule))


def _changeable(request: HttpRequest, schedule_id: int) -> Schedule:
    schedule = get_object_or_404(Schedule.objects.visible_to(request.user).with_names(), pk=schedule_id)
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied("Enabling, disabling and skipping needs the permission “Can change schedule”.")
    return schedule
