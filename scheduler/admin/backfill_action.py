"""The action "Backfill…": ask with the form, show the dry run of each selected schedule, then run them all or none.

Every step starts from the selection in the request and checks everything again; nothing is kept between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join

from projects.admin.columns import list_url, row_url
from scheduler.admin.cells import label_of, status_state
from scheduler.backfill import BackfillConflict, Plan, Request, begin, prepare
from scheduler.errors import HindcastError, InvalidInput
from scheduler.models import Schedule
from scheduler.web.forms import EXAMPLE, BackfillForm, pool_names
from scheduler.web.plan_table import HEADINGS, PlanRow, PlanTable, fingerprint, plan_table, sessions_text

if TYPE_CHECKING:
    from scheduler.admin.schedule import ScheduleAdmin

MOST = 50  # schedules in one go: they are locked together in one transaction
FORM, PREVIEW, RUN = "form", "preview", "run"
FIELDS = BackfillForm.field_order


class Refused(HindcastError):  # noqa: N818 - named as the fact
    """One of the schedules cannot be backfilled as asked, so none was."""


@dataclass
class Choice:
    """One selected schedule: its form (its own zone reads the local times), its dry run, its refusal."""

    schedule: Schedule
    form: BackfillForm
    table: PlanTable | None = None
    refusal: str = ""

    @property
    def label(self) -> str:
        return label_of(self.schedule)

    @property
    def url(self) -> str:
        return row_url(self.schedule)

    @property
    def rows(self) -> list[tuple[PlanRow, str]]:
        """Each row shown, and the state that is there now."""
        rows = self.table.rows if self.table else []
        return [(row, status_state(row.state) if row.state else row.there) for row in rows]

    @property
    def mark(self) -> str:
        """The name of the hidden field that says which session times were shown."""
        return f"fingerprint-{self.schedule.pk}"


@dataclass
class Conversation:
    """What one request brings: who asks, about which schedules, at what step."""

    admin: "ScheduleAdmin"
    request: HttpRequest
    now: datetime
    choices: list[Choice] = field(default_factory=list)

    @property
    def step(self) -> str:
        return self.request.POST.get("step", FORM)

    @property
    def form(self) -> BackfillForm:
        """The one that people see."""
        return self.choices[0].form

    @property
    def sessions(self) -> int:
        return sum(choice.table.sessions for choice in self.choices if choice.table)


def respond(admin: "ScheduleAdmin", request: HttpRequest, rows: QuerySet[Schedule], *, now: datetime) -> HttpResponse:
    talk = Conversation(admin, request, now)
    selected = list(rows.select_related("workflow__project").order_by("pk")[: MOST + 1])
    if len(selected) > MOST or not selected:
        text = f"Select at most {MOST} schedules." if selected else "The selected schedules are not there any more."
        admin.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(list_url("scheduler_schedule"))
    asked = talk.step in (PREVIEW, RUN)
    pools = pool_names()
    talk.choices = [Choice(schedule, form_of(talk, schedule, asked, pools)) for schedule in selected]
    word_for_several(talk)
    if not asked or not checked(talk):
        return ask(talk)
    return run(talk) if talk.step == RUN and not is_dry(talk) else preview(talk)


# --- the form -----------------------------------------------------------------------------------------------


def form_of(talk: Conversation, schedule: Schedule, asked: bool, pools: Mapping[int, str]) -> BackfillForm:
    """Bound once it has been filled in; on the way back from the preview it starts from what was written."""
    sent = talk.request.POST
    form = partial(BackfillForm, schedule=schedule, now=talk.now, pools=pools)
    return form(sent) if asked else form(initial={name: sent[name] for name in FIELDS if name in sent})


def word_for_several(talk: Conversation) -> None:
    """The one form that is shown stands for all of them."""
    if len(talk.choices) > 1:
        talk.form.leave_pool_to("each schedule")
    zones = sorted({choice.schedule.timezone for choice in talk.choices})
    if len(zones) > 1:
        talk.form.fields["from_time"].help_text = (
            "Runs due at this time or later. Local time in each schedule's own time zone "
            f"({', '.join(zones)}), such as {EXAMPLE}, or with an offset, such as 2026-11-23T08:00:00Z."
        )


def checked(talk: Conversation) -> bool:
    """Whether every form holds, and every selected schedule is still there. Errors move to the form that is shown."""
    shown = talk.form
    shown.is_valid()
    for choice in talk.choices[1:]:
        copy_errors(choice.form, shown)
    lost = gone(talk)
    if lost:
        verb = "is" if lost == 1 else "are"
        shown.add_error(None, f"{lost} of the selected schedules {verb} not there any more. Nothing has been run.")
    return not shown.errors


def copy_errors(source: BackfillForm, target: BackfillForm) -> None:
    for name, texts in source.errors.items():
        for text in texts:
            if text not in target.errors.get(name, []):
                target.add_error(None if name == "__all__" else name, str(text))


def gone(talk: Conversation) -> int:
    if talk.request.POST.get("select_across") == "1":
        return 0
    return len(set(talk.request.POST.getlist(ACTION_CHECKBOX_NAME))) - len(talk.choices)


def ask(talk: Conversation) -> HttpResponse:
    talk.form.focus_first_error()
    return page(talk, "form", title=titled(talk), form=talk.form)


# --- the dry run --------------------------------------------------------------------------------------------


def preview(talk: Conversation, refusal: str = "") -> HttpResponse:
    """Every slot of every schedule; or the form again, where a field is to blame."""
    for choice in talk.choices:
        dry_run(talk, choice)
        if talk.sessions > settings.HINDCAST_MAX_BACKFILL_SESSIONS:
            talk.form.add_error("count", too_many())
            break
    if talk.form.errors:
        return ask(talk)
    clean = not any(choice.refusal for choice in talk.choices)
    return page(
        talk,
        "preview",
        title=titled(talk),
        refusal=refusal,
        headings=HEADINGS,
        values=[(name, talk.request.POST[name]) for name in FIELDS if name in talk.request.POST],
        button=f"Run {sessions_text(talk.sessions)}" if clean and talk.sessions and not is_dry(talk) else "",
        verdict=verdict(talk, clean),
    )


def dry_run(talk: Conversation, choice: Choice) -> None:
    try:
        with transaction.atomic():
            choice.table = plan_table(verb(talk, choice, dry=True))
    except BackfillConflict as conflict:
        choice.refusal, choice.table = conflict.message, plan_table(conflict.plan)
    except InvalidInput as error:
        blame(talk, choice, error)
    except HindcastError as error:
        choice.refusal = error.message


def blame(talk: Conversation, choice: Choice, error: InvalidInput) -> None:
    """The verb's sentences beside the fields of the form that is shown; with the schedule's name among several."""
    if len(talk.choices) > 1:
        error = InvalidInput(
            {name: [f"{choice.label}: {text}" for text in texts] for name, texts in error.errors.items()}
        )
    talk.form.refuse(error)


def too_many() -> str:
    limit = settings.HINDCAST_MAX_BACKFILL_SESSIONS
    return f"The selected schedules have more than {limit:,} sessions together, the most in one go. Set a count."


def is_dry(talk: Conversation) -> bool:
    return bool(talk.form.cleaned_data.get("dry_run"))


def verdict(talk: Conversation, clean: bool) -> str:
    if not clean:
        return (
            "Nothing can be run as asked: one schedule that is refused stops them all. Change the form and look again."
        )
    if not talk.sessions:
        return "There is nothing to run."
    return "This was a dry run. Nothing has been written." if is_dry(talk) else ""


# --- the run ------------------------------------------------------------------------------------------------


def run(talk: Conversation) -> HttpResponse:
    """All of them in one transaction, in the order of their ids, so that two such runs cannot lock crosswise."""
    try:
        with transaction.atomic():
            plans = [submit(talk, choice) for choice in talk.choices]
            if sum(len(plan.planned) for plan in plans) > settings.HINDCAST_MAX_BACKFILL_SESSIONS:
                raise Refused(too_many())
            begin(plans, now=talk.now)
            note(talk, plans)
    except Refused as refused:
        return preview(talk, refusal=f"{refused.message} Nothing has been run.")
    talk.admin.message_user(talk.request, report(plans), messages.SUCCESS)
    return HttpResponseRedirect(list_url("scheduler_schedule"))


def submit(talk: Conversation, choice: Choice) -> Plan:
    try:
        plan = verb(talk, choice, dry=False)
    except HindcastError as error:
        raise Refused(f"{choice.label}: {error.message}") from error
    if fingerprint(plan.planned) != talk.request.POST.get(choice.mark):
        raise Refused(f"{choice.label}: the sessions are not those that you saw. Look at them again.")
    return plan


def verb(talk: Conversation, choice: Choice, *, dry: bool) -> Plan:
    """The one call. Raises what `scheduler.backfill.backfill` raises."""
    return prepare(
        choice.schedule.pk,
        Request(**choice.form.asked),
        dry_run=dry,
        now=talk.now,
        requested_by=cast(AbstractBaseUser, talk.request.user),
    )


def note(talk: Conversation, plans: list[Plan]) -> None:
    """In the admin's history of each schedule."""
    for plan in plans:
        if plan.backfill:
            text = f"Backfilled {sessions_text(len(plan.planned))} as {plan.backfill.name}."
            talk.admin.log_change(talk.request, plan.schedule, text)


def report(plans: list[Plan]) -> str:
    made = [(plan.backfill, plan.schedule.workflow.name) for plan in plans if plan.backfill]
    if not made:
        return "There was nothing to run."
    parts = ((row_url(row), row.name, workflow) for row, workflow in made)
    links = format_html_join(", ", '<a href="{}">{} ({})</a>', parts)
    return format_html("{} to run: {}.", sessions_text(sum(row.sessions for row, _ in made)), links)


# --- the pages ----------------------------------------------------------------------------------------------


def titled(talk: Conversation) -> str:
    count = len(talk.choices)
    return f"Backfill {talk.choices[0].label}" if count == 1 else f"Backfill {count} schedules"


def page(talk: Conversation, name: str, **context: Any) -> HttpResponse:
    return TemplateResponse(
        talk.request,
        f"admin/scheduler/schedule/backfill_{name}.html",
        {
            **talk.admin.admin_site.each_context(talk.request),
            "opts": talk.admin.opts,
            "media": talk.admin.media,
            "choices": talk.choices,
            "action": list_url("scheduler_schedule"),
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
            **context,
        },
    )
