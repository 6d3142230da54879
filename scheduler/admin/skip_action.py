"""The action "Skip to…": ask with the form of the page, show the dry run of each schedule, then skip all or none."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from projects.admin.confirm import answer, confirm
from projects.admin.selection import at_most
from scheduler.admin.cells import label_of
from scheduler.backfill import ScheduleNotFound
from scheduler.models import Schedule
from scheduler.schedules import Skipped
from scheduler.web.plan_table import sessions_text
from scheduler.web.skipping import EXPLAINED, SkipForm, mark, next_text, preview_text, skip

if TYPE_CHECKING:
    from scheduler.admin.schedule import ScheduleAdmin

MOST = 50  # schedules in one go: they are locked together in one transaction
PREVIEW, SKIP = "preview", "skip"


@dataclass
class Choice:
    """One selected schedule, with its own form: its zone reads the local times. The first form is the one shown."""

    schedule: Schedule
    form: SkipForm
    skipped: Skipped | None = None

    @property
    def seen(self) -> tuple[str, str]:
        """The hidden field that says what was shown of it."""
        return f"seen-{self.schedule.pk}", mark(self.skipped) if self.skipped else ""


class Refused(Exception):  # noqa: N818 - named as the fact
    """One of the schedules cannot skip as asked, so none does."""


def respond(
    admin: "ScheduleAdmin", request: HttpRequest, rows: QuerySet[Schedule], *, now: datetime
) -> HttpResponse | None:
    selected = at_most(MOST, admin, request, rows.select_related("workflow__project").order_by("pk"))
    if selected is None:
        return None
    asked = answer(request) in (PREVIEW, SKIP)
    choices = [Choice(schedule, SkipForm(request.POST if asked else None, schedule=schedule)) for schedule in selected]
    word_for_zones(choices)
    if not asked or not settled(choices, dry_run=True, now=now):
        return ask(admin, request, choices)
    if answer(request) == PREVIEW or any(request.POST.get(name) != value for name, value in map(seen, choices)):
        return ask(admin, request, choices, previewed=True)
    if not done(choices, now):
        return ask(admin, request, choices)
    report(admin, request, choices)
    return None


def word_for_zones(choices: list[Choice]) -> None:
    zones = sorted({choice.schedule.timezone for choice in choices})
    if len(zones) > 1:
        choices[0].form.fields["next_time"].help_text = (
            "The first session that runs at this time or later comes next. Local time in each schedule's own time "
            f"zone ({', '.join(zones)}), or with an offset."
        )


def settled(choices: list[Choice], *, dry_run: bool, now: datetime) -> bool:
    """Skip each, or see what that would do; refusals move to the form that is shown, with the schedule's name."""
    shown = choices[0].form
    for choice in choices:
        if choice.form.is_valid():
            try:
                choice.skipped = skip(choice.form, dry_run=dry_run, now=now)
            except ScheduleNotFound as gone:
                choice.form.add_error(None, gone.message)
        if choice.form is not shown:
            move_errors(choice, shown)
    return not shown.errors


def move_errors(choice: Choice, shown: SkipForm) -> None:
    for name, texts in choice.form.errors.items():
        for text in texts:
            if text not in shown.errors.get(name, []):
                shown.add_error(None if name == "__all__" else name, f"{label_of(choice.schedule)}: {text}")


def seen(choice: Choice) -> tuple[str, str]:
    return choice.seen


def done(choices: list[Choice], now: datetime) -> bool:
    try:
        with transaction.atomic():
            if not settled(choices, dry_run=False, now=now):
                raise Refused
    except Refused:
        return False
    return True


def ask(
    admin: "ScheduleAdmin", request: HttpRequest, choices: list[Choice], *, previewed: bool = False
) -> HttpResponse:
    buttons = [(PREVIEW, "Preview")]
    if previewed:
        buttons.insert(0, (SKIP, f"Skip {sessions_text(total(choices))}"))
    else:
        choices[0].form.focus_first_error()
    what = label_of(choices[0].schedule) if len(choices) == 1 else f"{len(choices)} schedules"
    return confirm(
        admin,
        request,
        [choice.schedule for choice in choices],
        action="skip",
        title=f"Skip sessions of {what}",
        buttons=buttons,
        text="This is what would happen." if previewed else EXPLAINED,
        lines=[line_of(choice) for choice in choices],
        form=choices[0].form,
        values=[choice.seen for choice in choices if previewed],
    )


def line_of(choice: Choice) -> str:
    what = preview_text(choice.skipped) if choice.skipped else next_text(choice.schedule)
    return f"{label_of(choice.schedule)}: {what}"


def total(choices: list[Choice]) -> int:
    return sum(len(choice.skipped.slots) for choice in choices if choice.skipped)


def report(admin: "ScheduleAdmin", request: HttpRequest, choices: list[Choice]) -> None:
    for choice in choices:
        count = len(choice.skipped.slots) if choice.skipped else 0
        admin.log_change(request, choice.schedule, f"Skipped {sessions_text(count)}.")
    admin.message_user(request, f"{sessions_text(total(choices))} skipped.", messages.SUCCESS)
