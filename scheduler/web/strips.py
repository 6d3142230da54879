"""The last sessions of a schedule as small shapes, newest last; due slots without a session stand out as missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlencode

from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse

from scheduler.models import Attempt, Schedule, Session, Skip
from scheduler.models.backfill import Only
from scheduler.models.schedule import ScheduleQuerySet
from scheduler.timetable import Slot, TimetableError
from scheduler.web.states import ATTEMPT_STATES, MISSING, PROBLEMS, SKIPPED, State, counts_text
from scheduler.web.times import duration, local_text, zone_or_utc

LENGTH = 30
# A schedule that was away for long has more slots than this since its last sessions; they are then walked backwards.
NEAR = 1_000


@dataclass(frozen=True, slots=True)
class Mark:
    """One session. `href` is empty where the strip is too small a place for a link."""

    state: State
    href: str = ""
    title: str = ""
    key: str = ""
    """Keeps the focus on the mark while the page around it is updated."""


@dataclass(frozen=True)
class Strip:
    marks: Sequence[Mark]
    summary: str

    @property
    def latest(self) -> State | None:
        return self.marks[-1].state if self.marks else None


class Run(NamedTuple):
    """The latest attempt of a session."""

    workflow_id: int
    session_time: datetime
    attempt_id: int
    status: str
    started_at: datetime | None
    finished_at: datetime | None


EMPTY = Strip((), "No sessions yet")


def since_annotated(schedules: ScheduleQuerySet) -> ScheduleQuerySet:
    """With `strip_since`, the session time where each strip begins; empty for schedules with fewer sessions."""
    latest = Session.objects.filter(workflow=OuterRef("workflow")).order_by("-session_time")
    return schedules.annotate(strip_since=Subquery(latest.values("session_time")[LENGTH - 1 : LENGTH]))


def strips(schedules: Sequence[Schedule], *, every_link: bool) -> dict[int, Strip]:
    """The strip of each schedule (from `since_annotated`) by its id: two queries, however many schedules.

    Without `every_link`, only problems are links: that keeps a long list light and short to tab through.
    """
    runs = _runs(schedules)
    skips = _skips(schedules)
    return {
        schedule.pk: _strip(schedule, runs[schedule.workflow_id], skips[schedule.pk], every_link)
        for schedule in schedules
    }


def _runs(schedules: Sequence[Schedule]) -> dict[int, list[Run]]:
    found: dict[int, list[Run]] = defaultdict(list)
    where = Q()
    for schedule in schedules:
        where |= _since(schedule, "session__workflow", schedule.workflow_id, "session__session_time__gte")
    if not where:
        return found
    columns = ("session__workflow", "session__session_time", "pk", "status", "started_at", "finished_at")
    for row in Attempt.objects.filter(where, is_latest=True).order_by().values_list(*columns):
        run = Run(*row)
        found[run.workflow_id].append(run)
    return found


def _skips(schedules: Sequence[Schedule]) -> dict[int, dict[datetime, str]]:
    found: dict[int, dict[datetime, str]] = defaultdict(dict)
    where = Q()
    for schedule in schedules:
        where |= _since(schedule, "schedule", schedule.pk, "session_time__gte")
    if where:
        for skip in Skip.objects.filter(where).order_by("-session_time")[: LENGTH * len(schedules)]:
            found[skip.schedule_id][skip.session_time] = skip.get_reason_display()
    return found


def _since(schedule: Schedule, owner: str, owner_id: int, time: str) -> Q:
    since = getattr(schedule, "strip_since", None)
    return Q(**{owner: owner_id}, **({time: since} if since else {}))


def _strip(schedule: Schedule, runs: list[Run], skips: dict[datetime, str], every_link: bool) -> Strip:
    if not runs:
        return EMPTY
    by_time = {run.session_time: run for run in runs}
    slots = {slot.session_time: slot for slot in _slots(schedule, min(by_time), max(by_time))}
    times = sorted({*by_time, *slots})[-LENGTH:]
    looks = Counter[str]()
    marks = []
    for time in times:
        mark = _mark(schedule, time, by_time.get(time), slots.get(time), skips.get(time), every_link)
        looks[mark.state.look] += 1
        marks.append(mark)
    count = "session" if len(marks) == 1 else f"{len(marks)} sessions"
    return Strip(marks, f"Last {count}: {counts_text(looks)}")


def _slots(schedule: Schedule, oldest: datetime, newest: datetime) -> Iterable[Slot]:
    """The last slots that were due, from the oldest session shown on; none when the row holds no timetable."""
    until = schedule.next_session_time or newest + timedelta(seconds=1)
    try:
        timetable = schedule.timetable
    except TimetableError:
        return []
    near = list(islice(timetable.between(oldest, until), NEAR))
    if len(near) < NEAR:
        return near[-LENGTH:]
    far: list[Slot] = []
    while len(far) < LENGTH and (slot := timetable.previous(far[-1].session_time if far else until)):
        far.append(slot)
    return far


def _mark(
    schedule: Schedule, time: datetime, run: Run | None, slot: Slot | None, skip: str | None, every_link: bool
) -> Mark:
    state = ATTEMPT_STATES[run.status] if run else SKIPPED if skip else MISSING
    if not every_link and state.look not in PROBLEMS:
        return Mark(state)
    title = f"{local_text(time, zone_or_utc(schedule.timezone))}, {state.word}"
    if run:
        length = f", {duration(run.finished_at - run.started_at)}" if run.started_at and run.finished_at else ""
        return Mark(state, reverse("attempt", args=[run.attempt_id]), f"{title}{length}")
    run_time = slot.run_time if slot else time
    return Mark(state, backfill_href(schedule.pk, run_time, count=1), f"{title}: {skip}" if skip else title)


def backfill_href(schedule_id: int, from_time: datetime, *, count: int | None = None, only: Only = Only.ALL) -> str:
    """The backfill form with its first fields filled in."""
    wanted = {"from": from_time.isoformat(), "count": str(count or ""), "only": "" if only == Only.ALL else only.value}
    wanted = {name: value for name, value in wanted.items() if value}
    return f"{reverse('backfill_form', args=[schedule_id])}?{urlencode(wanted)}"
