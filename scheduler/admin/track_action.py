"""The action "Track with Hindcast…": show what each periodic task would be as a workflow, then make them on a yes."""

from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from typing import TYPE_CHECKING, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_celery_beat.models import PeriodicTask

from projects.admin.confirm import YES, answer
from projects.admin.selection import at_most
from projects.dig import FilesRefused
from projects.models import Project
from scheduler.errors import InvalidInput
from scheduler.importing.periodic import PROJECT, Tracked, Tracking, track
from scheduler.importing.takeover import Change, ProjectMoved
from scheduler.web.pushing import HIDDEN
from scheduler.web.schedule_words import in_words
from scheduler.web.times import local_text, utc_text, zone_or_utc

if TYPE_CHECKING:
    from scheduler.admin.periodic_task import TrackablePeriodicTaskAdmin

MOST = 50  # in one go, as each is shown
PREVIEW = "preview"


class TrackForm(forms.Form):
    project = forms.CharField(
        label="Project",
        strip=False,
        help_text="It holds the workflows, and is made when there is none of this name. What else is in it stays.",
        error_messages={"required": "Give the project a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "dir": "auto"}),
    )
    switch_off = forms.BooleanField(
        label="Also switch the original off",
        required=False,
        help_text="Otherwise it runs twice, by beat and by its schedule, until you switch one of the two off.",
    )


@dataclass(frozen=True)
class Shown:
    """One periodic task as the page shows it. `lines` are what its file says, or what becomes other in it."""

    tracked: Tracked
    now: datetime

    @property
    def name(self) -> str:
        return str(self.tracked.task.name)

    @property
    def workflow(self) -> str:
        return self.tracked.step.name

    @property
    def change(self) -> str:
        return {
            Change.ADDED: "a new workflow",
            Change.CHANGED: "the workflow is there, and changes",
            Change.SAME: "the workflow is there, and stays as it is",
        }[self.tracked.step.change]

    @property
    def original(self) -> str:
        if self.tracked.task.enabled:
            return "on"
        return "off, and so the schedule is made switched off" if self.tracked.starts_off else "off"

    @property
    def schedule(self) -> str:
        return in_words(self.tracked.draft.timetable)

    @property
    def zone(self) -> str:
        return self.tracked.draft.timezone

    @property
    def runs(self) -> list[tuple[str, str]]:
        """The next three, by the clocks of the zone and in UTC."""
        where = zone_or_utc(self.zone)
        slots = self.tracked.draft.runs(now=self.now)
        return [(local_text(slot.run_time, where), utc_text(slot.run_time).removesuffix(" UTC")) for slot in slots]

    @property
    def notes(self) -> tuple[str, ...]:
        return self.tracked.draft.notes

    @property
    def lines(self) -> str:
        step = self.tracked.step
        if step.change is not Change.CHANGED:
            return step.after
        diff = unified_diff(step.before.splitlines(), step.after.splitlines(), lineterm="", n=2)
        return "\n".join(list(diff)[2:])


def respond(
    admin: "TrackablePeriodicTaskAdmin", request: HttpRequest, rows: QuerySet[PeriodicTask], *, now: datetime
) -> HttpResponse | None:
    related = rows.select_related("crontab", "interval", "solar", "clocked")
    tasks = at_most(MOST, admin, request, related.order_by("name"))
    if tasks is None:
        return None
    asked = answer(request) in (YES, PREVIEW)
    form = TrackForm(request.POST) if asked else TrackForm({"project": PROJECT})
    form.is_valid()
    talk = Conversation(admin, request, tasks, form, now)
    if answer(request) == YES and talk.agreed and (done := talk.tracking(dry_run=False)):
        report(talk, done)
        return None
    return talk.page()


@dataclass
class Conversation:
    """What one request brings: who asks, about which tasks, with which form."""

    admin: "TrackablePeriodicTaskAdmin"
    request: HttpRequest
    tasks: list[PeriodicTask]
    form: TrackForm
    now: datetime
    refusal: str = ""

    @property
    def agreed(self) -> bool:
        """The person saw this very project before saying yes."""
        if self.form.errors:
            return False
        if self.request.POST.get("shown") != self.form.cleaned_data["project"]:
            self.refusal = "The project is not the one that was shown. Nothing was written; look again."
        return not self.refusal

    @property
    def user(self) -> AbstractBaseUser:
        return cast(AbstractBaseUser, self.request.user)

    def tracking(self, *, dry_run: bool) -> Tracking | None:
        """The one call; None when it is refused, which the form or the page tells then."""
        if self.form.errors:
            return None
        project = self.form.cleaned_data["project"]
        if Project.objects.is_name_closed_to(project, self.user):
            self.form.add_error("project", HIDDEN)
            return None
        try:
            return track(
                self.tasks,
                project_name=project,
                switch_off=self.form.cleaned_data["switch_off"],
                skip_refused=True,
                dry_run=dry_run,
                seen=None if dry_run else self.request.POST.get("fingerprint", ""),
                now=self.now,
                created_by=self.user,
            )
        except InvalidInput as error:
            for texts in error.errors.values():
                self.form.add_error("project", texts)
        except (FilesRefused, ProjectMoved) as error:
            self.refusal = error.message
        return None

    def page(self) -> HttpResponse:
        planned = self.tracking(dry_run=True)
        tracked = planned.tracked if planned else ()
        steps = planned.comparison.steps if planned else ()
        return TemplateResponse(
            self.request,
            "admin/django_celery_beat/periodictask/track.html",
            {
                **self.admin.admin_site.each_context(self.request),
                "title": "Track with Hindcast",
                "opts": self.admin.opts,
                "media": self.admin.media,
                "rows": self.tasks,
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
                "form": self.form,
                "refusal": self.refusal,
                "tracked": [Shown(one, self.now) for one in tracked],
                "removed": [step.name for step in steps if step.change is Change.REMOVED],
                "refusals": planned.refusals if planned else (),
                "shown": self.form.cleaned_data.get("project", "") if planned else "",
                "fingerprint": planned.comparison.fingerprint if planned else "",
                "button": f"Track {counted(len(tracked))}" if tracked else "",
            },
        )


def report(talk: Conversation, done: Tracking) -> None:
    """Where to go on, and what became of the originals."""
    for one in done.tracked:
        talk.admin.log_change(talk.request, one.task, f"Tracked as {one.step.name} of {done.comparison.project_name}.")
    verb = "is" if len(done.tracked) == 1 else "are"
    text = format_html("{} {} tracked: {}.", counted(len(done.tracked)), verb, links(done.tracked))
    talk.admin.message_user(talk.request, text, messages.SUCCESS)
    twice = any(one.runs and one.task.name not in done.switched_off for one in done.tracked)
    for sentence in done.sentences():
        talk.admin.message_user(talk.request, sentence, messages.WARNING if twice else messages.INFO)
    if done.refusals:
        left = " ".join(map(str, done.refusals))
        talk.admin.message_user(talk.request, f"Not tracked: {left}", messages.WARNING)


def links(tracked: tuple[Tracked, ...]) -> SafeString:
    """Each workflow, with its schedule and the form that backfills it."""
    parts = (
        (
            reverse("schedule", args=[one.schedule.pk]),
            one.step.name,
            reverse("backfill_form", args=[one.schedule.pk]),
        )
        for one in tracked
        if one.schedule
    )
    return format_html_join(", ", '<a href="{}">{}</a> (<a href="{}">backfill</a>)', parts)


def counted(number: int) -> str:
    return "1 periodic task" if number == 1 else f"{number} periodic tasks"
