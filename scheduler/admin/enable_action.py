"""The action "Enable…": asks what is to become of the sessions that came due meanwhile, as the page does."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from projects.admin.confirm import answer, confirm
from projects.admin.selection import at_most
from scheduler.admin.cells import label_of
from scheduler.backfill import ScheduleNotFound
from scheduler.models import Schedule
from scheduler.web.enabling import LATER, RUN, SKIP, Enabled, buttons, due_of, due_text, enable, rules_text
from scheduler.web.plan_table import sessions_text

if TYPE_CHECKING:
    from scheduler.admin.schedule import ScheduleAdmin

MOST = 500  # in one go


def respond(
    admin: "ScheduleAdmin", request: HttpRequest, rows: QuerySet[Schedule], *, now: datetime
) -> HttpResponse | None:
    selected = at_most(MOST, admin, request, rows.select_related("workflow__project").order_by("pk"))
    if selected is None:
        return None
    choice = answer(request)
    due = due_of(selected, now=now) if choice not in (RUN, SKIP) else {}
    if due:
        return ask(admin, request, selected, due)
    done = [enabled(admin, request, schedule, choice, now) for schedule in selected]
    report(admin, request, done)
    return None


def ask(
    admin: "ScheduleAdmin", request: HttpRequest, selected: list[Schedule], due: dict[Schedule, int]
) -> HttpResponse:
    idle = [schedule for schedule in selected if schedule.disabled_at is not None]
    count = due_text(sum(due.values()))
    what = label_of(idle[0]) if len(idle) == 1 else f"{len(idle)} schedules"
    texts = (f"While disabled, {count} came due.", rules_text(due), LATER)
    return confirm(
        admin,
        request,
        idle,
        action="enable",
        title=f"Enable {what}",
        buttons=[(button.value, button.text) for button in buttons(due)],
        text=" ".join(filter(None, texts)),
        lines=[f"{label_of(row)}: {due_text(due[row])}" if row in due else label_of(row) for row in idle],
    )


def enabled(admin: "ScheduleAdmin", request: HttpRequest, schedule: Schedule, choice: str, now: datetime) -> Enabled:
    try:
        done = enable(schedule, choice=choice, now=now)
    except ScheduleNotFound as gone:
        return Enabled(False, gone.message, refused=True)
    if done.changed:
        admin.log_change(request, schedule, done.text)
    return Enabled(done.changed, f"{label_of(schedule)}: {done.text}", done.skipped, done.refused)


def report(admin: "ScheduleAdmin", request: HttpRequest, done: list[Enabled]) -> None:
    changed, refusals = sum(one.changed for one in done), [one.text for one in done if one.refused]
    before, skipped = len(done) - changed - len(refusals), sum(one.skipped for one in done)
    texts = [f"{changed} of {len(done)} schedules enabled."]
    if before:
        texts.append(f"{before} {'was' if before == 1 else 'were'} enabled before.")
    if skipped:
        texts.append(f"{sessions_text(skipped)} skipped.")
    level = messages.ERROR if refusals else messages.SUCCESS if changed else messages.WARNING
    admin.message_user(request, " ".join([*texts, *refusals[:5]]), level)
