"""The page of one project: its workflows and when they run, its revisions, the keys of its secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from projects.models import Project, Revision, Secret, WorkflowDefinition
from scheduler.models import Attempt, Schedule
from scheduler.web.frame import BACKFILL, DELETE, KEEP_SECRETS, PUSH, RUN, Link, Page, is_staff, signed_in
from scheduler.web.paging import KeyPage, key_of, key_page
from scheduler.web.project_files import definition_href
from scheduler.web.revisions import RevisionRow, revision_rows, user_name
from scheduler.web.rows import AttemptRow, attempt_row
from scheduler.web.schedules import ScheduleRow, schedule_row
from scheduler.web.strips import since_annotated, strips
from scheduler.web.times import moment

PAGE_SIZE = 50
REVISIONS_SHOWN = 10
SECRETS_SHOWN = 20


@dataclass(frozen=True)
class WorkflowRow:
    """A workflow of the newest revision. Without a schedule, `last` is what it ran last. Hrefs of what may be done."""

    name: str
    href: str
    timezone: str
    schedule: ScheduleRow | None
    last: AttemptRow | None
    start_href: str
    backfill_href: str


@require_safe
@signed_in
def project_page(request: HttpRequest, project_id: int) -> HttpResponse:
    now = timezone.now()
    project = visible_project(request, project_id)
    newest = project.revisions.select_related("created_by").order_by("-pk").first()
    facts: dict[str, Any] = {
        "page": Page(title=project.name, at="projects", crumbs=[Link("Projects", reverse("projects"))]),
        "project_href": reverse("project", args=[project.pk]),
        "newest": newest,
        "newest_href": reverse("revision", args=[project.pk, newest.pk]) if newest else "",
        "pushed": moment(newest.created_at, UTC, now) if newest else None,
        "by": user_name(newest),
        "workflow_query": _query(request),
        "may_act": request.user.has_perm(RUN) or request.user.has_perm(BACKFILL),
        "workflows": workflow_rows(request, project, newest, now),
        "revisions": _revisions(request, project, now),
        "secrets": _secrets(project) if request.user.has_perm(KEEP_SECRETS) else None,
        "secrets_href": reverse("secrets", args=[project.pk]),
        "push_href": reverse("project_push_to", args=[project.pk]) if request.user.has_perm(PUSH) else "",
        "delete_href": reverse("project_delete", args=[project.pk]) if request.user.has_perm(DELETE) else "",
        "admin_href": reverse("admin:projects_project_change", args=[project.pk]) if is_staff(request) else "",
    }
    return render(request, "hindcast/project.html", facts)


def visible_project(request: HttpRequest, project_id: int) -> Project:
    return get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)


def _query(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()[:200].replace("\x00", "")


def workflow_rows(
    request: HttpRequest, project: Project, newest: Revision | None, now: datetime
) -> KeyPage[WorkflowRow]:
    """The workflows of the newest revision by name, a page of them; in six queries, however many there are."""
    query, after = _query(request), key_of(request, "after")
    found = list(_definitions(newest, query, after)[: PAGE_SIZE + 1]) if newest else []
    shown = found[:PAGE_SIZE]
    return key_page(
        [*_rows(request, project, shown, now), *found[PAGE_SIZE:]],
        size=PAGE_SIZE,
        key="after",
        last=shown[-1].pk if shown else None,
        start=after,
        kept={"q": query},
    )


def _definitions(newest: Revision, query: str, after: int | None) -> Any:
    last = Attempt.objects.filter(workflow=OuterRef("workflow")).order_by("-pk").values("pk")[:1]
    rows = newest.definitions.select_related("workflow").defer("document").annotate(last_attempt_id=Subquery(last))
    rows = rows.order_by("workflow__name", "pk")
    if query:
        rows = rows.filter(workflow__name__icontains=query)
    name = newest.definitions.filter(pk=after).values_list("workflow__name", flat=True).first() if after else None
    return rows if name is None else rows.filter(workflow__name__gt=name)


def _rows(
    request: HttpRequest, project: Project, definitions: Sequence[WorkflowDefinition], now: datetime
) -> list[WorkflowRow]:
    schedules = _schedule_rows([definition.workflow_id for definition in definitions], now)
    lasts = _last_attempts(definitions, now)
    may_run, may_backfill = request.user.has_perm(RUN), request.user.has_perm(BACKFILL)
    return [
        _row(project, definition, schedules, lasts, may_run=may_run, may_backfill=may_backfill)
        for definition in definitions
    ]


def _schedule_rows(workflows: Sequence[int], now: datetime) -> dict[int, tuple[int, ScheduleRow]]:
    """By workflow: the id of its schedule, and how a list shows it."""
    rows = since_annotated(Schedule.objects.filter(workflow__in=workflows).with_names())
    schedules = list(rows.defer("definition__document"))
    drawn = strips(schedules, every_link=False)
    return {row.workflow_id: (row.pk, schedule_row(row, drawn.get(row.pk), now)) for row in schedules}


def _last_attempts(definitions: Sequence[WorkflowDefinition], now: datetime) -> dict[int, AttemptRow]:
    """By workflow: what it ran last."""
    last = [getattr(definition, "last_attempt_id") for definition in definitions]  # noqa: B009 - annotated
    rows = Attempt.objects.with_names().select_related("session__workflow__schedule")
    rows = rows.defer("definition__document", "params").filter(pk__in=[pk for pk in last if pk])
    return {attempt.workflow_id: attempt_row(attempt, now) for attempt in rows}


def _row(
    project: Project,
    definition: WorkflowDefinition,
    schedules: dict[int, tuple[int, ScheduleRow]],
    lasts: dict[int, AttemptRow],
    *,
    may_run: bool,
    may_backfill: bool,
) -> WorkflowRow:
    workflow = definition.workflow
    schedule_id, schedule = schedules.get(workflow.pk, (None, None))
    return WorkflowRow(
        name=workflow.name,
        href=schedule.href if schedule else definition_href(project.pk, definition),
        timezone=definition.timezone,
        schedule=schedule,
        last=lasts.get(workflow.pk),
        start_href=reverse("workflow_start", args=[project.pk, workflow.pk]) if may_run else "",
        backfill_href=reverse("backfill_form", args=[schedule_id]) if schedule_id and may_backfill else "",
    )


def _revisions(request: HttpRequest, project: Project, now: datetime) -> KeyPage[RevisionRow]:
    before = key_of(request, "before")
    rows = project.revisions.select_related("created_by").order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: REVISIONS_SHOWN + 1])  # one more: the oldest shown is compared with it
    last = found[:REVISIONS_SHOWN][-1].pk if found else None
    lines = revision_rows(found, now)
    return key_page(lines, size=REVISIONS_SHOWN, key="before", last=last, start=before, kept={})


@dataclass(frozen=True)
class Keys:
    """The first keys of a project's secrets; `more`: there are others."""

    shown: list[str]
    more: bool


def _secrets(project: Project) -> Keys:
    rows = Secret.objects.filter(project=project).order_by("key").values_list("key", flat=True)
    found = list(rows[: SECRETS_SHOWN + 1])
    return Keys(found[:SECRETS_SHOWN], len(found) > SECRETS_SHOWN)


def newest_definition(project: Project, workflow_id: int) -> WorkflowDefinition:
    """The workflow as the newest revision of its project has it; else Http404."""
    rows = WorkflowDefinition.objects.select_related("workflow", "revision").defer("document")
    newest = project.revisions.order_by("-pk").values("pk")[:1]
    return get_object_or_404(rows, workflow=workflow_id, revision=Subquery(newest))
