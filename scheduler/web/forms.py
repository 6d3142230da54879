"""The backfill form: shapes and types only. What may be run is for the verb to say; its refusals land on the fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, cast

from django import forms

from scheduler.errors import InvalidInput
from scheduler.models import Pool, Schedule
from scheduler.models.backfill import Only
from scheduler.web.times import MINUS, in_zone, local_text, offset_text, wall_text, zone_or_utc

EXAMPLE = "2026-11-23 00:00"
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?))?"
    r" ?(?P<offset>Z|UTC|[+-][0-9]{2}:?[0-9]{2}(?::[0-9]{2})?)?",
    re.IGNORECASE,
)


class LocalTimeField(forms.CharField):
    """A time as people write it: local in `where`, or with an offset from UTC. Gives an aware datetime."""

    def __init__(self, *, where: tzinfo, zone_name: str, **kwargs: Any) -> None:
        super().__init__(max_length=64, **kwargs)
        self.where = where
        self.zone_name = zone_name

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return read_time(text, self.where, self.zone_name) if text else None

    def run_validators(self, value: Any) -> None:
        """Length and characters were settled by the reading."""


def read_time(text: str, where: tzinfo, zone_name: str) -> datetime:
    """`2026-11-23`, `2026-11-23 00:00` or ISO 8601 with an offset, as an aware datetime.

    Raises ValidationError for what is not a time, and for a local time that the clocks of `where` skip or repeat.
    """
    match = _TIME.fullmatch(" ".join(text.replace(MINUS, "-").split()))
    if match is None:
        raise forms.ValidationError(f"Write a time such as {EXAMPLE} ({zone_name}), or one with its offset from UTC.")
    offset = (match["offset"] or "").upper()
    try:
        local = datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00'}")
        if offset:
            return datetime.fromisoformat(f"{local.isoformat()}{'+00:00' if offset in ('Z', 'UTC') else offset}")
    except ValueError:
        raise forms.ValidationError(f"{match[0]} is not on the calendar or the clock.") from None
    return _only_instant(local, where, zone_name)


def _only_instant(local: datetime, where: tzinfo, zone_name: str) -> datetime:
    first, second = local.replace(tzinfo=where), local.replace(tzinfo=where, fold=1)
    try:
        back = first.astimezone(UTC).astimezone(where)
    except OverflowError:
        raise forms.ValidationError(f"{local.date()} is out of the calendar.") from None
    if back.replace(tzinfo=None) != local:
        raise forms.ValidationError(
            f"{wall_text(local)} does not exist in {zone_name}: the clocks go forward over it. "
            f"The next time there is {local_text(_after_gap(second), where)}."
        )
    if first.utcoffset() != second.utcoffset():
        raise forms.ValidationError(
            f"{wall_text(local)} occurs twice in {zone_name}: the clocks go back. "
            f"Add {offset_text(first)} for the first or {offset_text(second)} for the second."
        )
    return first


def _after_gap(missing: datetime) -> datetime:
    """The end of the gap around a missing local time: its instant by the offset after the change, pulled up to it."""
    before = missing.replace(fold=0).astimezone(UTC)
    after = missing.replace(fold=1).astimezone(UTC)
    low, high = int(after.timestamp()), int(before.timestamp())
    start_offset = datetime.fromtimestamp(low, missing.tzinfo).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, missing.tzinfo).utcoffset() == start_offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def pool_names() -> dict[int, str]:
    """By id, in the order of the names."""
    return dict(Pool.objects.order_by("name").values_list("pk", "name"))


class BackfillForm(forms.Form):
    """All that a backfill of one schedule may be told: its zone reads the local times."""

    from_time: LocalTimeField
    to_time: LocalTimeField
    attempt_name = forms.CharField(
        label="Attempt name",
        help_text="Every attempt of this backfill gets it. A session cannot have two attempts of one name.",
        error_messages={"required": "Give the attempts a name."},
    )
    count = forms.IntegerField(
        label="Count",
        required=False,
        help_text="Instead of the time to stop at: how many sessions, from the first on.",
        error_messages={"invalid": "Write a whole number, or leave it empty."},
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    only = forms.TypedChoiceField(
        label="Sessions",
        required=False,
        coerce=Only,
        empty_value=Only.ALL,
        choices=Only.choices,
        help_text="Which sessions of that time are run, by how their last attempt ended.",
    )
    concurrency = forms.IntegerField(
        label="At once",
        required=False,
        initial=1,
        help_text="How many of its attempts run at once. 1: one after the other.",
        error_messages={"invalid": "Write a whole number."},
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    pool_id = forms.TypedChoiceField(
        label="Pool",
        required=False,
        coerce=int,
        empty_value=None,
        help_text="Attempts of a pool share its slots.",
        error_messages={"invalid_choice": "There is no such pool any more."},
    )
    dry_run = forms.BooleanField(
        label="Dry run", required=False, help_text="Show what would run, and do not offer to run it."
    )

    field_order = ("from_time", "to_time", "count", "only", "attempt_name", "concurrency", "pool_id", "dry_run")

    def __init__(
        self, *args: Any, schedule: Schedule, now: datetime, pools: Mapping[int, str] | None = None, **kwargs: Any
    ) -> None:
        """`now` makes the default name and the default time, midnight of yesterday there.

        `pools` are the names of all pools by id, for who makes many forms; they are read when it is not given.
        """
        where = zone_or_utc(schedule.timezone)
        local = in_zone(now, where)
        yesterday = datetime.fromordinal(max(local.toordinal() - 1, 1))
        initial = {
            "attempt_name": f"backfill-{local:%Y-%m-%d-%H%M}",
            "from_time": wall_text(yesterday),
            **(kwargs.pop("initial", None) or {}),
        }
        kwargs["initial"] = initial
        super().__init__(*args, **kwargs)
        read = partial(LocalTimeField, where=where, zone_name=schedule.timezone)
        self.fields["from_time"] = read(
            label="From",
            help_text=f"Runs due at this time or later. Local time in {schedule.timezone}, such as {EXAMPLE}, "
            "or with an offset, such as 2026-11-23T08:00:00Z.",
            error_messages={"required": "Give the time to start from."},
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )
        self.fields["to_time"] = read(
            label="To",
            required=False,
            help_text="Runs due before this time. Empty: all up to the schedule's next session.",
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )
        self.fields["attempt_name"].widget.attrs.update({"autocomplete": "off", "spellcheck": "false", "dir": "auto"})
        self._offer(pool_names() if pools is None else pools, schedule)
        self.order_fields(self.field_order)

    def _offer(self, pools: Mapping[int, str], schedule: Schedule) -> None:
        """Where there are no pools, nobody is asked."""
        self._pools = pools
        if pools:
            self.leave_pool_to(f"the schedule: {pools.get(schedule.pool_id or 0, 'none')}")
        else:
            del self.fields["pool_id"]

    def leave_pool_to(self, whom: str) -> None:
        """What no choice of a pool means, where there is one to make."""
        if self._pools:
            cast(forms.ChoiceField, self.fields["pool_id"]).choices = [("", f"As {whom}"), *self._pools.items()]

    @property
    def asked(self) -> dict[str, Any]:
        """What `scheduler.backfill.backfill` takes of it; once `is_valid()`."""
        given = {name: self.cleaned_data.get(name) for name in self.field_order if name != "dry_run"}
        return given if given["concurrency"] is not None else {**given, "concurrency": 1}

    def refuse(self, error: InvalidInput) -> None:
        """Put the verb's sentences beside the fields that they are about; the rest go above the form."""
        for name, texts in error.errors.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)

    def focus_first_error(self) -> None:
        """The first wrong field gets the focus; without one, the first field."""
        wrong = next((name for name in self.fields if name in self.errors), next(iter(self.fields)))
        self.fields[wrong].widget.attrs["autofocus"] = True
