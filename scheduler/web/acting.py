"""Kill an attempt, or run its session again: each asks once, then makes one call."""

from __future__ import annotations

from datetime import datetime

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from scheduler import attempts as verbs
from scheduler.errors import InvalidInput
from scheduler.models import Attempt
from scheduler.starting import AttemptConflict, Resume, WorkflowNotFound, start
from scheduler.web.asking import Button, ask
from scheduler.web.crumbs import session_crumbs
from scheduler.web.errors import Gone
from scheduler.web.frame import RUN, Page, signed_in
from scheduler.web.rows import schedule_of, zone_of
from scheduler.web.times import in_zone, local_text

FAILED = "failed"


class RetryForm(forms.Form):
    name = forms.CharField(
        label="Attempt name",
        help_text="A session cannot have two attempts of one name.",
        error_messages={"required": "Give the attempt a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "dir": "auto"}),
    )
    resume = forms.CharField(required=False, widget=forms.HiddenInput)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def attempt_kill(request: HttpRequest, attempt_id: int) -> HttpResponse:
    attempt = _runnable(request, attempt_id)
    if request.method != "POST":
        text = "A queued attempt is killed at once. One that runs is told to stop, and killed if it does not."
        return ask(
            request,
            _page(attempt, f"Kill attempt {attempt.pk} of {attempt.session.workflow.name}"),
            text=text,
            buttons=[Button(f"Kill attempt {attempt.pk}")],
            back=reverse("attempt", args=[attempt.pk]),
        )
    if verbs.kill(attempt.pk, now=timezone.now()):
        messages.info(request, f"Attempt {attempt.pk} is being killed.")
    else:
        attempt.refresh_from_db()
        messages.warning(request, f"Attempt {attempt.pk} is {attempt.status} already.")
    return redirect("attempt", attempt.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def attempt_retry(request: HttpRequest, attempt_id: int) -> HttpResponse:
    """All tasks again; with `resume=failed`, those that did not succeed."""
    attempt, now = _runnable(request, attempt_id), timezone.now()
    if request.method != "POST":
        initial = {"name": retry_name(attempt, now), "resume": request.GET.get("resume", "")[:10]}
        return _ask_to_retry(request, attempt, RetryForm(initial=initial))
    form = RetryForm(request.POST)
    if not form.is_valid():
        return _ask_to_retry(request, attempt, form)
    try:
        made = retry(attempt, form.cleaned_data["name"], resume=form.cleaned_data["resume"] == FAILED, now=now)
    except InvalidInput as refusal:
        for name, texts in refusal.errors.items():
            form.add_error("name" if name == "retry_attempt_name" else None, texts)
        rest = " ".join(str(error) for error in form.non_field_errors())
        return _ask_to_retry(request, attempt, form, refusal=rest)
    except AttemptConflict as conflict:
        return _ask_to_retry(request, attempt, form, refusal=conflict.message)
    except WorkflowNotFound as gone:
        raise Gone(gone.message) from gone
    return redirect("attempt", made.pk)


def retry(attempt: Attempt, name: str, *, resume: bool, now: datetime) -> Attempt:
    """The session once more, with the same revision, params and pool. Raises what `start` raises."""
    return start(
        definition_id=attempt.definition_id,
        session_time=attempt.session.session_time,
        retry_attempt_name=name,
        params=attempt.params,
        resume=Resume(attempt.pk) if resume else None,
        pool_id=attempt.pool_id,
        now=now,
    )


def retry_name(attempt: Attempt, now: datetime) -> str:
    """The name that is offered: `retry-2026-03-02-120000`, by the clocks of the workflow."""
    return f"retry-{in_zone(now, zone_of(attempt, schedule_of(attempt.session))):%Y-%m-%d-%H%M%S}"


def _ask_to_retry(request: HttpRequest, attempt: Attempt, form: RetryForm, refusal: str = "") -> HttpResponse:
    resume = form["resume"].value() == FAILED
    what = "The tasks that succeeded are not run again." if resume else "All tasks are run again."
    at = local_text(attempt.session.session_time, zone_of(attempt, schedule_of(attempt.session)))
    return ask(
        request,
        _page(attempt, f"Retry attempt {attempt.pk} of {attempt.session.workflow.name}"),
        text=f"Starts a new attempt of the session {at}. {what}",
        buttons=[Button("Retry from the failed task" if resume else "Retry all tasks")],
        back=reverse("attempt", args=[attempt.pk]),
        form=form,
        refusal=refusal,
    )


def _page(attempt: Attempt, title: str) -> Page:
    schedule = schedule_of(attempt.session)
    zone_name = schedule.timezone if schedule else attempt.definition.timezone
    return Page(title=title, at="attempts", crumbs=session_crumbs(attempt.session, schedule, zone_name))


def _runnable(request: HttpRequest, attempt_id: int) -> Attempt:
    rows = Attempt.objects.visible_to(request.user).with_names().select_related("session__workflow__schedule")
    attempt = get_object_or_404(rows.defer("definition__document"), pk=attempt_id)
    if not request.user.has_perm(RUN):
        raise PermissionDenied("Killing and retrying needs the permission “Can start, retry and kill attempts”.")
    return attempt
