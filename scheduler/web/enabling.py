"""Enabling as the page and the admin ask for it: what is to become of the sessions that came due meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from scheduler import schedules as verbs
from scheduler.errors import InvalidInput
from scheduler.models import CatchUp, Overlap, Schedule
from scheduler.schedules import MOST_SKIPPED
from scheduler.timetable import TimetableError
from scheduler.web.asking import Button
from scheduler.web.plan_table import sessions_text
from scheduler.web.policies import policy_sentences
from scheduler.web.skipping import texts_of

RUN, SKIP = "run", "skip"
LATER = "Skipped sessions are recorded, and can still be backfilled."


@dataclass(frozen=True)
class Enabled:
    """`changed`: it was disabled before, and no more. `text` says so, or why not."""

    changed: bool
    text: str
    skipped: int = 0
    refused: bool = False


def due_of(schedules: Iterable[Schedule], *, now: datetime) -> dict[Schedule, int]:
    """How many sessions of each came due while it was disabled, where there are any.

    Counts until there are more than 10,000 in all.
    """
    due: dict[Schedule, int] = {}
    for schedule in schedules:
        if schedule.disabled_at is None or sum(due.values()) > MOST_SKIPPED:
            continue
        try:
            count = verbs.due_meanwhile(schedule, now=now)
        except TimetableError:
            continue
        if count:
            due[schedule] = count
    return due


def due_text(count: int) -> str:
    return sessions_text(count) if count <= MOST_SKIPPED else f"more than {MOST_SKIPPED:,} sessions"


def rules_text(schedules: Iterable[Schedule]) -> str:
    """What the schedules' own rules do with what is late, where they do not simply run all of it; else empty."""
    bound = [schedule for schedule in schedules if has_rules(schedule)]
    if not bound:
        return ""
    if len(bound) > 1:
        return "What of them runs is for the rules of each schedule to say."
    return f"What of them runs is for its rules to say. {' '.join(policy_sentences(bound[0]))}"


def has_rules(schedule: Schedule) -> bool:
    plain = schedule.catch_up == CatchUp.ALL and schedule.overlap == Overlap.ALLOW
    return not plain or schedule.skip_delayed_by is not None


def buttons(due: dict[Schedule, int]) -> list[Button]:
    count = due_text(sum(due.values()))
    run = "Enable by the rules" if any(has_rules(schedule) for schedule in due) else f"Run {count}"
    return [Button(run, RUN), Button(f"Skip {count}", SKIP)]


def enable(schedule: Schedule, *, choice: str, now: datetime) -> Enabled:
    """Enable it; with the choice SKIP, past the sessions that came due. Raises ScheduleNotFound."""
    if schedule.disabled_at is None:  # somebody was faster: what he chose for its sessions stands
        return Enabled(False, "It was enabled already.")
    if choice == SKIP:
        try:
            count = len(verbs.enable_past(schedule.pk, now=now).slots)
        except InvalidInput as refusal:
            return Enabled(False, f"It was not enabled. {' '.join(texts_of(refusal))}", refused=True)
        return Enabled(True, f"Enabled. {sessions_text(count)} skipped." if count else "Enabled.", skipped=count)
    changed = verbs.enable(schedule.pk, now=now)
    return Enabled(changed, "Enabled." if changed else "It was enabled already.")
