"""Skipping as the page and the admin ask for it: one form, one dry run, and the mark of what was shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms

from scheduler import schedules as verbs
from scheduler.errors import InvalidInput
from scheduler.models import Schedule
from scheduler.schedules import MOST_SKIPPED, SkipConflict, Skipped, Target
from scheduler.timetable import TimetableError
from scheduler.web.forms import EXAMPLE, LocalTimeField
from scheduler.web.plan_table import sessions_text
from scheduler.web.times import local_text, zone_or_utc

EXPLAINED = "What is skipped does not run. It is recorded as skipped, and can still be backfilled."
FAULTY_COUNT = f"Give a count from 1 to {MOST_SKIPPED:,}."


class SkipForm(forms.Form):
    """To a time, or a number of sessions, for one schedule: its zone reads the local times."""

    next_time: LocalTimeField
    count = forms.IntegerField(
        label="Or count",
        required=False,
        min_value=1,
        max_value=MOST_SKIPPED,
        help_text="How many sessions to skip, from the schedule's next one on.",
        error_messages={"invalid": "Write a whole number, or leave it empty."}
        | dict.fromkeys(("min_value", "max_value"), FAULTY_COUNT),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)  # what the preview showed

    field_order = ("next_time", "count")

    def __init__(self, *args: Any, schedule: Schedule, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schedule = schedule
        self.fields["next_time"] = LocalTimeField(
            where=zone_or_utc(schedule.timezone),
            zone_name=schedule.timezone,
            label="Skip to",
            required=False,
            help_text=f"The first session that runs at this time or later comes next. Local time in "
            f"{schedule.timezone}, such as {EXAMPLE}, or with an offset.",
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        given = [name for name in ("next_time", "count") if self.data.get(name, "").strip()]
        if not given:
            self.add_error("next_time", "Give the time to skip to, or a count.")
        elif len(given) == 2:
            self.add_error("count", "Give a time or a count, not both.")
        return self.cleaned_data

    def focus_first_error(self) -> None:
        """The first wrong field gets the focus; without one, the time."""
        wrong = next((name for name in self.fields if name in self.errors), "next_time")
        self.fields[wrong].widget.attrs["autofocus"] = True

    @property
    def target(self) -> Target:
        """Once `is_valid()`. A count stands for the same session later on, whatever the clock does meanwhile."""
        if at := self.cleaned_data["next_time"]:
            return Target(at)
        following = self.schedule.next_session_time or self.schedule.created_at
        slot = next(iter(self.schedule.timetable.between(following, None)), None)
        return Target(slot.run_time if slot else following, self.cleaned_data["count"], "count")


def skip(form: SkipForm, *, dry_run: bool, now: datetime) -> Skipped | None:
    """What the verb answers for a valid form; None when it refuses, with its sentences beside the fields.

    Raises ScheduleNotFound.
    """
    blamed = "next_time" if form.cleaned_data["next_time"] else "count"
    try:
        return verbs.skip(form.schedule.pk, form.target, dry_run=dry_run, now=now)
    except TimetableError as error:
        form.add_error(None, f"The timetable of this schedule cannot be read: {' '.join(texts_of(error))}")
    except InvalidInput as refusal:
        form.add_error(blamed, texts_of(refusal))
    except SkipConflict as conflict:
        form.add_error(blamed, f"{conflict.message} {next_text(conflict.schedule)}")
    return None


def next_text(schedule: Schedule) -> str:
    """`The next session is 2026-03-02 13:00 +00:00.`"""
    if schedule.next_session_time is None:
        return "It has no next session."
    return f"The next session is {local_text(schedule.next_session_time, zone_or_utc(schedule.timezone))}."


def texts_of(refusal: InvalidInput) -> list[str]:
    return [text for texts in refusal.errors.values() for text in texts]


def mark(skipped: Skipped) -> str:
    """Stands for exactly these sessions: a confirm that finds other ones asks again."""
    return f"{len(skipped.slots)} before {skipped.schedule.next_session_time}"


def preview_text(skipped: Skipped) -> str:
    """`1 session would be skipped: 2026-03-02 13:00 +00:00. The next is 2026-03-02 14:00 +00:00.`"""
    where = zone_or_utc(skipped.schedule.timezone)
    ends = list(dict.fromkeys(local_text(slot.session_time, where) for slot in skipped.slots[:1] + skipped.slots[-1:]))
    which = f": {' to '.join(ends)}" if ends else ""
    following = skipped.schedule.next_session_time
    rest = f"The next is {local_text(following, where)}." if following else "No session would come after."
    return f"{sessions_text(len(skipped.slots))} would be skipped{which}. {rest}"
