"""The list of attempts, and the page of one: why it failed, its tasks, its log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from projects.access import listed_for
from scheduler import logs
from scheduler.models import Attempt, AttemptStatus
from scheduler.web import log
from scheduler.web.crumbs import session_crumbs
from scheduler.web.frame import BACKFILL, RUN, Link, Page, is_staff, signed_in
from scheduler.web.paging import key_of, key_page
from scheduler.web.rows import attempt_row, reason_text, schedule_of, state_of, text_of, zone_of
from scheduler.web.slots import slot_facts
from scheduler.web.states import ATTEMPT_STATES, BEGUN, State
from scheduler.web.strips import backfill_href
from scheduler.web.task_rows import light, task_row, task_tree
from scheduler.web.times import moment

PAGE_SIZE = 100
TASKS_PAGE_SIZE = 200
PARAMS_LENGTH = 10_000
ERROR_LENGTH = 4_000


@dataclass(frozen=True)
class Filter:
    text: str
    href: str
    current: bool
    state: State | None = None


@dataclass(frozen=True)
class Fact:
    name: str
    text: str


@require_safe
@signed_in
def attempt_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    status = request.GET.get("status", "")
    status = status if status in AttemptStatus.values else ""
    before = key_of(request, "before")
    rows = Attempt.objects.filter(listed_for(request.user, "workflow__project")).with_names()
    rows = rows.select_related("session__workflow__schedule").defer("definition__document", "params").order_by("-pk")
    if status:
        rows = rows.filter(status=status)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PAGE_SIZE + 1])
    page = key_page(
        [attempt_row(row, now) for row in found],
        size=PAGE_SIZE,
        key="before",
        last=found[:PAGE_SIZE][-1].pk if found else None,
        start=before,
        kept={"status": status},
    )
    facts = {"page": Page(title="Attempts", at="attempts"), "list": page, "filters": _filters(status), "status": status}
    return render(request, "hindcast/attempts.html", facts)


def _filters(status: str) -> list[Filter]:
    here = reverse("attempts")
    states = [Filter(key, f"{here}?status={key}", key == status, state) for key, state in ATTEMPT_STATES.items()]
    return [Filter("all", here, not status), *states]


@require_safe
@signed_in
def attempt_page(request: HttpRequest, attempt_id: int) -> HttpResponse:
    now = timezone.now()
    attempt = _visible(request, attempt_id)
    schedule = schedule_of(attempt.session)
    zone_name = schedule.timezone if schedule else attempt.definition.timezone
    run_time, clock_change = slot_facts(schedule, attempt.session.session_time)
    may_backfill = bool(schedule) and request.user.has_perm(BACKFILL)
    facts = {
        "page": Page(
            title=f"Attempt {attempt.pk}",
            at="attempts",
            crumbs=session_crumbs(attempt.session, schedule, zone_name),
        ),
        "zone": zone_name,
        "clock_change": clock_change,
        "params": _params_text(attempt.params),
        "backfill_href": backfill_href(schedule.pk, run_time, count=1) if schedule and may_backfill else "",
        "admin_href": reverse("admin:scheduler_attempt_change", args=[attempt.pk]) if is_staff(request) else "",
        **_live_facts(request, attempt, now),
        **_log_facts(attempt, log.tail(attempt.pk, done=attempt.done)),
    }
    return render(request, "hindcast/attempt.html", facts)


@require_safe
@signed_in
def attempt_live(request: HttpRequest, attempt_id: int) -> HttpResponse:
    """State and tasks; asks for itself again until the attempt is done."""
    facts = _live_facts(request, _visible(request, attempt_id), timezone.now())
    return render(request, "hindcast/_attempt_progress.html", facts)


@require_safe
@signed_in
def attempt_tasks(request: HttpRequest, attempt_id: int) -> HttpResponse:
    """Every task, a page of them at a time, in the order in which they came up."""
    now, attempt = timezone.now(), _visible(request, attempt_id)
    schedule = schedule_of(attempt.session)
    where, after = zone_of(attempt, schedule), key_of(request, "after")
    tasks = light(attempt.tasks.all())
    found = list((tasks.filter(position__gt=after) if after else tasks)[: TASKS_PAGE_SIZE + 1])
    zone_name = schedule.timezone if schedule else attempt.definition.timezone
    crumbs = session_crumbs(attempt.session, schedule, zone_name)
    here = Link(f"Attempt {attempt.pk}", reverse("attempt", args=[attempt.pk]))
    facts = {
        "page": Page(title=f"Tasks of attempt {attempt.pk}", at="attempts", crumbs=[*crumbs, here]),
        "list": key_page(
            [task_row(task, where, now) for task in found],
            size=TASKS_PAGE_SIZE,
            key="after",
            last=found[:TASKS_PAGE_SIZE][-1].position if found else None,
            start=after,
            kept={},
        ),
        "with_log": logs.positions(attempt.pk),
        "raw_href": reverse("attempt_log_raw", args=[attempt.pk]),
    }
    return render(request, "hindcast/attempt_tasks.html", facts)


@require_safe
@signed_in
def attempt_log(request: HttpRequest, attempt_id: int) -> HttpResponse:
    """Lines that came since the place in the log that the page has; asks again until the attempt is done."""
    attempt = _visible(request, attempt_id)
    part = log.follow(
        attempt.pk,
        chunk=key_of(request, "chunk") or 0,
        offset=key_of(request, "offset") or 0,
        number=key_of(request, "line") or 1,
        done=attempt.done,
    )
    return render(request, "hindcast/_log_more.html", _log_facts(attempt, part))


@require_safe
@signed_in
def attempt_log_raw(request: HttpRequest, attempt_id: int) -> HttpResponseBase:
    """All of it; with `task`, what the task at that position wrote."""
    attempt, task = _visible(request, attempt_id), key_of(request, "task")
    pieces = logs.text(attempt.pk, None if task is None else [task])
    try:
        first = next(pieces, "")
    except logs.LogUnavailable as error:
        return HttpResponse(f"{error.message}\n", status=503, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(chain([first], pieces), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'inline; filename="attempt-{attempt.pk}.txt"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _visible(request: HttpRequest, attempt_id: int) -> Attempt:
    rows = Attempt.objects.visible_to(request.user).with_names()
    rows = rows.select_related("session__workflow__schedule", "backfill").defer("definition__document")
    return get_object_or_404(rows, pk=attempt_id)


def _live_facts(request: HttpRequest, attempt: Attempt, now: datetime) -> dict[str, Any]:
    schedule = schedule_of(attempt.session)
    where = zone_of(attempt, schedule)
    backfill = attempt.backfill
    return {
        "attempt": attempt_row(attempt, now, schedule=schedule),
        "reason": reason_text(attempt)[:ERROR_LENGTH],
        "reason_facts": _reason_facts(attempt.reason),
        "failed": attempt.status in (AttemptStatus.ERROR, AttemptStatus.KILLED),
        "started": moment(attempt.started_at, where, now),
        "goes_on": moment(attempt.released_at, where, now) if state_of(attempt) is BEGUN else None,
        "finished": moment(attempt.finished_at, where, now),
        "index": attempt.index,
        "lane": attempt.lane,
        "worker": attempt.worker,
        "deliveries": attempt.deliveries,
        "backfill_name": backfill.name if backfill else "",
        "backfill_page": reverse("backfill", args=[backfill.pk]) if backfill else "",
        "tree": task_tree(attempt.tasks.all(), where, now),
        "with_log": logs.positions(attempt.pk),
        "tasks_href": reverse("attempt_tasks", args=[attempt.pk]),
        "raw_href": reverse("attempt_log_raw", args=[attempt.pk]),
        **_action_facts(attempt, may_run=request.user.has_perm(RUN)),
        "poll_href": "" if attempt.done else reverse("attempt_live", args=[attempt.pk]),
    }


def _action_facts(attempt: Attempt, *, may_run: bool) -> dict[str, str]:
    """Addresses of what can be done with it now; empty where it cannot, or the reader may not."""
    may_kill = may_run and attempt.status in (AttemptStatus.QUEUED, AttemptStatus.RUNNING)
    may_retry = may_run and attempt.is_latest and attempt.status in (AttemptStatus.ERROR, AttemptStatus.KILLED)
    return {
        "kill_href": reverse("attempt_kill", args=[attempt.pk]) if may_kill else "",
        "retry_href": reverse("attempt_retry", args=[attempt.pk]) if may_retry else "",
    }


def _reason_facts(reason: object) -> list[Fact]:
    """What is known about the end besides the message and the task."""
    if not isinstance(reason, dict):
        return []
    rest = {key: value for key, value in reason.items() if key not in ("message", "task")}
    return [Fact(str(key).replace("_", " ")[:80], text_of(value)[:ERROR_LENGTH]) for key, value in rest.items()]


def _params_text(params: object) -> str:
    if not params:
        return ""
    text = json.dumps(params, indent=2, ensure_ascii=False)
    return text if len(text) <= PARAMS_LENGTH else f"{text[:PARAMS_LENGTH]}\n…"


def _log_facts(attempt: Attempt, part: log.Part) -> dict[str, Any]:
    here = reverse("attempt_log", args=[attempt.pk])
    goes_on = part.more or not attempt.done
    return {
        "log": part,
        "log_href": f"{here}?chunk={part.chunk}&offset={part.offset}&line={part.number}" if goes_on else "",
        "log_delay": "load delay:100ms" if part.more else "load delay:1s",
    }
