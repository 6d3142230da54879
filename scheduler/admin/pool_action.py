"""The action "Pool…": asks which pool the attempts of the selected schedules are to share, then assigns it."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from projects.admin.confirm import YES, confirm, is_confirmed
from projects.admin.selection import at_most
from scheduler import schedules
from scheduler.admin import enable_action
from scheduler.admin.cells import label_of
from scheduler.errors import HindcastError
from scheduler.models import Schedule
from scheduler.web.forms import pool_names

if TYPE_CHECKING:
    from scheduler.admin.schedule import ScheduleAdmin


class PoolForm(forms.Form):
    pool = forms.TypedChoiceField(
        label="Pool",
        required=False,
        coerce=int,
        empty_value=None,
        error_messages={"invalid_choice": "There is no such pool any more."},
    )

    def __init__(self, *args: Any, names: Mapping[int, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ChoiceField, self.fields["pool"]).choices = [("", "None"), *names.items()]


def respond(
    admin: "ScheduleAdmin", request: HttpRequest, rows: QuerySet[Schedule], *, now: datetime
) -> HttpResponse | None:
    names = pool_names()
    if not names:
        admin.message_user(request, "There are no pools. Make one first, then choose it here.", messages.WARNING)
        return None
    selected = at_most(
        enable_action.MOST, admin, request, rows.select_related("workflow__project", "pool").order_by("pk")
    )
    if selected is None:
        return None
    shared = {schedule.pool_id for schedule in selected}
    initial = {"pool": shared.pop() if len(shared) == 1 else None}
    form = PoolForm(request.POST if is_confirmed(request) else None, names=names, initial=initial)
    if not form.is_valid():
        return ask(admin, request, selected, form)
    assign(admin, request, selected, form.cleaned_data["pool"], names, now)
    return None


def ask(admin: "ScheduleAdmin", request: HttpRequest, selected: list[Schedule], form: PoolForm) -> HttpResponse:
    what = label_of(selected[0]) if len(selected) == 1 else counted(len(selected))
    return confirm(
        admin,
        request,
        selected,
        action="pool",
        title=f"Pool of {what}",
        buttons=[(YES, f"Change the pool of {counted(len(selected))}")],
        text="Attempts of a pool share its slots. It is for what starts from now on; what is there already stays.",
        lines=[f"{label_of(row)}: {f'in {row.pool}' if row.pool else 'in no pool'}" for row in selected],
        form=form,
    )


def assign(
    admin: "ScheduleAdmin",
    request: HttpRequest,
    selected: list[Schedule],
    pool_id: int | None,
    names: Mapping[int, str],
    now: datetime,
) -> None:
    where = f"in the pool {names[pool_id]}" if pool_id else "in no pool"
    changed, refusals = 0, []
    for schedule in selected:
        try:
            if schedules.assign_pool(schedule.pk, pool_id, now=now):
                admin.log_change(request, schedule, f"Runs {where}.")
                changed += 1
        except HindcastError as refusal:
            refusals.append(f"{label_of(schedule)}: {refusal.message}")
    before = len(selected) - changed - len(refusals)
    texts = [f"{changed} of {counted(len(selected))} {'runs' if changed == 1 else 'run'} {where} from now on."]
    if before:
        texts.append(f"{before} did before.")
    level = messages.ERROR if refusals else messages.SUCCESS if changed else messages.WARNING
    admin.message_user(request, " ".join([*texts, *refusals[:5]]), level)


def counted(number: int) -> str:
    return "1 schedule" if number == 1 else f"{number} schedules"
