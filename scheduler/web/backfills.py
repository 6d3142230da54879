"""The list of backfills, and the page of one with its progress."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from projects.access import listed_for
from scheduler.models import Attempt, AttemptStatus, Backfill
from scheduler.models.attempt import DONE, LIVE, RETRIABLE
from scheduler.models.backfill import Only
from scheduler.retrying import failed_of
from scheduler.web.backfill_acting import kill_button, killable
from scheduler.web.crumbs import workflow_crumbs
from scheduler.web.frame import BACKFILL, RUN, Link, Page, signed_in
from scheduler.web.paging import KeyPage, key_of, key_page
from scheduler.web.plan_table import pace_text, sessions_text
from scheduler.web.rows import AttemptRow, attempt_row, length_of, reason_text, state_of
from scheduler.web.states import ATTEMPT_STATES, State
from scheduler.web.strips import Mark
from scheduler.web.times import Moment, duration, local_text, moment, rough, zone_or_utc

PAGE_SIZE = 25
GRID_SIZE = 200
FAILURES_SHOWN = 10
BAR_WIDTH = 1000
BAR_ORDER = ("success", "error", "killed", "canceling", "running", "queued")


@dataclass(frozen=True)
class Segment:
    """A stretch of the bar, in thousandths."""

    state: State
    count: str
    start: int
    width: int


@dataclass(frozen=True)
class Progress:
    total: int
    done: int
    segments: Sequence[Segment]
    sentence: str

    @property
    def is_done(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True)
class BackfillRow:
    href: str
    name: str
    workflow: str
    project: str
    schedule_href: str
    by: str
    created: Moment | None
    sessions: str
    progress: Progress


@require_safe
@signed_in
def backfill_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    before, schedule_id = key_of(request, "before"), key_of(request, "schedule")
    rows = Backfill.objects.filter(listed_for(request.user, "workflow__project")).with_names().order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    if schedule_id is not None:
        rows = rows.filter(schedule=schedule_id)
    found = list(rows[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    page = key_page(
        [*backfill_rows(shown, now), *([None] if len(found) > PAGE_SIZE else [])],
        size=PAGE_SIZE,
        key="before",
        last=shown[-1].pk if shown else None,
        start=before,
        kept={"schedule": str(schedule_id or "")},
    )
    only = shown[0].workflow.name if schedule_id is not None and shown else ""
    facts = {"page": Page(title="Backfills", at="backfills"), "list": page, "only": only}
    return render(request, "hindcast/backfills.html", facts)


def backfill_rows(backfills: Sequence[Backfill], now: datetime) -> list[BackfillRow]:
    """With the progress of each, in one query for all."""
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    attempts = Attempt.objects.filter(backfill__in=[row.pk for row in backfills])
    for backfill_id, status, count in attempts.values_list("backfill", "status").annotate(Count("pk")).order_by():
        counts[backfill_id][status] = count
    return [backfill_row(row, progress(counts[row.pk]), now) for row in backfills]


def zone_name_of(backfill: Backfill) -> str:
    """Needs `with_names()`."""
    return str(vars(backfill)["timezone"])


def backfill_row(backfill: Backfill, state: Progress, now: datetime) -> BackfillRow:
    schedule = backfill.schedule
    where = zone_or_utc(zone_name_of(backfill))
    return BackfillRow(
        href=reverse("backfill", args=[backfill.pk]),
        name=backfill.name,
        workflow=backfill.workflow.name,
        project=backfill.workflow.project.name,
        schedule_href=reverse("schedule", args=[schedule.pk]) if schedule else "",
        by=backfill.created_by.get_username() if backfill.created_by else "",
        created=moment(backfill.created_at, where, now),
        sessions=sessions_text(backfill.sessions),
        progress=state,
    )


def progress(counts: Mapping[str, int], *, eta: str = "") -> Progress:
    """From how many attempts there are by status."""
    total = sum(counts.values())
    done = sum(counts.get(status, 0) for status in DONE)
    failed = counts.get(AttemptStatus.ERROR, 0)
    parts = [f"{done:,} of {total:,} done"]
    if failed:
        parts.append(f"{failed:,} failed")
    if eta:
        parts.append(eta)
    return Progress(total, done, _segments(counts, total), ", ".join(parts))


def _segments(counts: Mapping[str, int], total: int) -> list[Segment]:
    segments, seen = [], 0
    for look in BAR_ORDER:
        count = counts.get(look, 0)
        if count:
            start, end = BAR_WIDTH * seen // total, BAR_WIDTH * (seen + count) // total
            segments.append(Segment(ATTEMPT_STATES[look], f"{count:,}", start, max(end - start, 4)))
            seen += count
    return segments


@require_safe
@signed_in
def backfill_page(request: HttpRequest, backfill_id: int) -> HttpResponse:
    now = timezone.now()
    backfill = _visible(request, backfill_id)
    crumbs = workflow_crumbs(backfill.workflow, backfill.schedule)
    if backfill.schedule:
        crumbs.append(Link("Backfills", f"{reverse('backfills')}?schedule={backfill.schedule.pk}"))
    zone_name = zone_name_of(backfill)
    facts = {
        "page": Page(title=backfill.name, at="backfills", crumbs=crumbs),
        "zone": zone_name,
        "from_time": moment(backfill.from_time, zone_or_utc(zone_name), now),
        "to_time": moment(backfill.to_time, zone_or_utc(zone_name), now),
        "only": "" if backfill.only == Only.ALL else backfill.get_only_display().lower(),
        "pace": pace_text(backfill.concurrency),
        **_live_facts(request, backfill, now),
    }
    return render(request, "hindcast/backfill.html", facts)


@require_safe
@signed_in
def backfill_progress(request: HttpRequest, backfill_id: int) -> HttpResponse:
    """The part of the page that moves; it asks for itself again until all attempts are done."""
    facts = _live_facts(request, _visible(request, backfill_id), timezone.now())
    return render(request, "hindcast/_backfill_progress.html", facts)


def _visible(request: HttpRequest, backfill_id: int) -> Backfill:
    rows = Backfill.objects.visible_to(request.user).with_names()
    return get_object_or_404(rows, pk=backfill_id)


def _live_facts(request: HttpRequest, backfill: Backfill, now: datetime) -> dict[str, object]:
    attempts = Attempt.objects.filter(backfill=backfill)
    counts = dict(attempts.values_list("status").annotate(Count("pk")).order_by())
    failed = counts.get(AttemptStatus.ERROR, 0)
    after = key_of(request, "after")
    state = progress(counts, eta=_eta(attempts, counts, now))
    progress_href = reverse("backfill_progress", args=[backfill.pk])
    return {
        "backfill": backfill_row(backfill, state, now),
        "grid": _grid(backfill, attempts, after, now),
        "failures": _failures(attempts, now) if failed else [],
        "failures_rest": f"{failed - FAILURES_SHOWN:,} more failed." if failed > FAILURES_SHOWN else "",
        **_action_facts(request, backfill, counts),
        "poll_href": "" if state.is_done else f"{progress_href}?after={after}" if after else progress_href,
    }


def _action_facts(request: HttpRequest, backfill: Backfill, counts: Mapping[str, int]) -> dict[str, str]:
    """Addresses of what can be done with it now, and the words; empty where it cannot, or the reader may not."""
    facts: dict[str, str] = {}
    kill = killable(counts)
    if kill and request.user.has_perm(RUN):
        facts |= {"kill_href": reverse("backfill_kill", args=[backfill.pk]), "kill_text": kill_button(kill)}
    live = any(counts.get(status) for status in LIVE)
    if not live and backfill.schedule_id and request.user.has_perm(BACKFILL):
        failed = failed_of(backfill.pk).count() if any(counts.get(status) for status in RETRIABLE) else 0
        if failed:
            text = f"Retry {sessions_text(failed)}"
            facts |= {"retry_href": reverse("backfill_retry", args=[backfill.pk]), "retry_text": text}
    return facts


def _eta(attempts: QuerySet[Attempt], counts: Mapping[str, int], now: datetime) -> str:
    """Rate and time left in words, from what is done so far; how long it took, once all is done."""
    # Counted again, with the times: the first may have ended since `counts` were read.
    ended_so_far = attempts.filter(status__in=DONE)
    times = ended_so_far.aggregate(done=Count("pk"), began=Min("started_at"), ended=Max("finished_at"))
    done, began, ended = times["done"], times["began"], times["ended"]
    left = sum(counts.values()) - done
    if left and not killable(counts):
        return "the rest is being killed"
    if began is None or ended is None:
        return ""
    if not left:
        return f"took {duration(ended - began)}"
    each = (now - began) / done
    return f"{_rate(each)}, about {rough((each * left).total_seconds())} left"


def _rate(each: timedelta) -> str:
    seconds = each.total_seconds()
    if seconds >= 60:
        return f"one every {rough(seconds)}"
    return f"{60 / seconds:,.0f} a minute" if seconds > 0.001 else "many a second"


def _grid(backfill: Backfill, attempts: QuerySet[Attempt], after: int | None, now: datetime) -> KeyPage[Mark]:
    rows = attempts.select_related("session").order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    found = list(rows[: GRID_SIZE + 1])
    zone_name = zone_name_of(backfill)
    last = found[:GRID_SIZE][-1].pk if found else None
    marks = [_mark(attempt, zone_name, now) for attempt in found]
    return key_page(marks, size=GRID_SIZE, key="after", last=last, start=after, kept={})


def _mark(attempt: Attempt, zone_name: str, now: datetime) -> Mark:
    state = state_of(attempt)
    parts = (local_text(attempt.session.session_time, zone_or_utc(zone_name)), state.word, length_of(attempt, now))
    title = ", ".join(part for part in (*parts, reason_text(attempt)[:100]) if part)
    return Mark(state, reverse("attempt", args=[attempt.pk]), title, key=f"slot-{attempt.pk}")


def _failures(attempts: QuerySet[Attempt], now: datetime) -> list[AttemptRow]:
    rows = attempts.filter(status=AttemptStatus.ERROR).with_names().select_related("session__workflow__schedule")  # type: ignore[attr-defined]
    rows = rows.defer("definition__document", "params").order_by("pk")
    return [attempt_row(row, now) for row in rows[:FAILURES_SHOWN]]
