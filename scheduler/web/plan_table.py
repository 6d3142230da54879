"""What a backfill would do, as a table for people: the same for the page, the admin and the command line. No HTML."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from scheduler.backfill import Plan, PlannedAttempt
from scheduler.timetable import Timetable
from scheduler.web.states import ATTEMPT_STATES, State
from scheduler.web.times import local_text, utc_text, zone_or_utc

SHOWN = 200
HEADINGS = ("Session time", "UTC", "There now", "Action", "Note")


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One slot. `there` is the state of the latest attempt, or "no session"; `clock_change` is empty on most days."""

    local: str
    utc: str
    there: str
    action: str
    reason: str
    clock_change: str
    state: str
    """The status that stands there now, as on the wire; empty where there is none."""
    attempt_id: int | None
    """The attempt that stands there now: the one in the way, else the latest."""

    @property
    def drawn(self) -> State | None:
        """The state that stands there now, to be drawn on a page."""
        return ATTEMPT_STATES.get(self.state)

    @property
    def is_conflict(self) -> bool:
        return bool(self.reason)

    @property
    def note(self) -> str:
        return "; ".join(text for text in (self.reason, self.clock_change) if text)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """In the order of HEADINGS, for plain text."""
        return self.local, self.utc, self.there, self.action, self.note


@dataclass(frozen=True)
class PlanTable:
    """`rows` has conflicts first, then session-time order; the counts are of all slots, shown or not."""

    zone: str
    sessions: int
    new: int
    again: int
    conflicts: int
    left_out: int
    first: str
    last: str
    rows: list[PlanRow]
    conflicts_not_shown: int
    fingerprint: str
    """Stands for exactly these session times: a confirm that finds another one asks again."""

    @property
    def not_shown(self) -> int:
        return self.sessions - len(self.rows)

    @property
    def for_people(self) -> str:
        """`28 sessions from 2026-11-23 00:00 −08:00 to 2026-11-24 03:00 −08:00`."""
        if not self.sessions and self.left_out:
            return f"{sessions_text(self.left_out)} left out, by how their last attempt ended. There is nothing to run."
        if not self.sessions:
            return "No sessions in this time, up to the schedule's next session. There is nothing to run."
        if self.sessions == 1:
            return f"1 session, {self.first}"
        return f"{sessions_text(self.sessions)} from {self.first} to {self.last}"

    @property
    def counts(self) -> str:
        """`2 conflicts, 20 new sessions, 8 more attempts, 3 left out`; parts that are nought are not told."""
        parts = (
            (self.conflicts, "conflict", "conflicts"),
            (self.new, "new session", "new sessions"),
            (self.again, "more attempt", "more attempts"),
            (self.left_out, "left out", "left out"),
        )
        return ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count)

    @property
    def rest(self) -> str:
        """What is left out of `rows`, as a sentence; empty when nothing is."""
        if not self.not_shown:
            return ""
        text = f"{self.not_shown:,} more not shown"
        if self.conflicts_not_shown:
            text += f", {self.conflicts_not_shown:,} of them conflicts"
        return f"{text}."


def plan_table(plan: Plan, *, limit: int | None = SHOWN) -> PlanTable:
    """The first `limit` rows of a plan (None: all), conflicts first, and counts of the whole of it."""
    where = zone_or_utc(plan.schedule.timezone)
    timetable = plan.schedule.timetable
    conflicts = plan.conflicts
    ordered = [*conflicts, *(item for item in plan.planned if item.conflict is None)]
    shown = ordered if limit is None else ordered[:limit]
    new = sum(item.is_new_session for item in plan.planned)
    return PlanTable(
        zone=plan.schedule.timezone,
        sessions=len(plan.planned),
        new=new,
        again=len(plan.planned) - new - len(conflicts),
        conflicts=len(conflicts),
        left_out=len(plan.left_out),
        first=local_text(plan.planned[0].slot.session_time, where) if plan.planned else "",
        last=local_text(plan.planned[-1].slot.session_time, where) if plan.planned else "",
        rows=[_row(item, timetable, where) for item in shown],
        conflicts_not_shown=max(len(conflicts) - len(shown), 0),
        fingerprint=fingerprint(plan.planned),
    )


def fingerprint(planned: Sequence[PlannedAttempt]) -> str:
    times = ",".join(str(int(item.slot.session_time.timestamp())) for item in planned)
    return hashlib.sha256(times.encode()).hexdigest()[:32]


def sessions_text(count: int) -> str:
    return "1 session" if count == 1 else f"{count:,} sessions"


def pace_text(concurrency: int) -> str:
    """How the attempts of a backfill run."""
    return "one after the other" if concurrency == 1 else f"{concurrency} at once"


def _row(item: PlannedAttempt, timetable: Timetable, where: tzinfo) -> PlanRow:
    there = item.conflict or item.latest
    return PlanRow(
        local=local_text(item.slot.session_time, where),
        utc=utc_text(item.slot.session_time),
        there=there.status if there else "no session",
        action=_action(item),
        reason=item.conflict_reason,
        clock_change=timetable.shift(item.slot.session_time) or "",
        state=there.status if there else "",
        attempt_id=there.pk if there else None,
    )


def _action(item: PlannedAttempt) -> str:
    if item.conflict is not None:
        return "conflict"
    return "new session" if item.is_new_session else "one more attempt"
