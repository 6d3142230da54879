"""The list of projects: what was pushed last, and how their workflows are doing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Count, OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from projects.models import Project, ProjectQuerySet, Revision, WorkflowDefinition
from scheduler.models import Attempt, Schedule
from scheduler.web.frame import PUSH, Page, signed_in
from scheduler.web.paging import key_of, key_page
from scheduler.web.revisions import user_name
from scheduler.web.states import COUNT_ORDER, State
from scheduler.web.times import Moment, moment

PAGE_SIZE = 50


@dataclass(frozen=True)
class Contents:
    """What is in the newest revision of a project."""

    workflows: int = 0
    on: int = 0
    off: int = 0
    lasts: Counter[str] = field(default_factory=Counter)

    @property
    def workflows_text(self) -> str:
        """`1 workflow`, `10,000 workflows`."""
        return "1 workflow" if self.workflows == 1 else f"{self.workflows:,} workflows"

    @property
    def schedules(self) -> str:
        """`3 on, 1 off`."""
        parts = [f"{count:,} {word}" for count, word in ((self.on, "on"), (self.off, "off")) if count]
        return ", ".join(parts) or "none"

    @property
    def tallies(self) -> list[State]:
        """`2 error`, `5 success`: how many workflows are so by their newest session."""
        return [State(look, f"{self.lasts[look]:,} {look}") for look in COUNT_ORDER if self.lasts[look]]


@dataclass(frozen=True)
class ProjectRow:
    href: str
    name: str
    revision: str
    revision_href: str
    pushed: Moment | None
    by: str
    contents: Contents


@require_safe
@signed_in
def project_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    query = request.GET.get("q", "").strip()[:200].replace("\x00", "")
    after = key_of(request, "after")
    rows = list(_after(_named(query, request.user), after)[: PAGE_SIZE + 1])
    shown = rows[:PAGE_SIZE]
    facts = {
        "page": Page(title="Projects", at="projects"),
        "list": key_page(
            [*project_rows(shown, now), *rows[PAGE_SIZE:]],
            size=PAGE_SIZE,
            key="after",
            last=shown[-1].pk if shown else None,
            start=after,
            kept={"q": query},
        ),
        "project_query": query,
        "push_href": reverse("project_push") if request.user.has_perm(PUSH) else "",
    }
    return render(request, "hindcast/projects.html", facts)


def _named(query: str, user: AbstractBaseUser | AnonymousUser) -> ProjectQuerySet:
    rows = Project.objects.visible_to(user).with_newest_revision().order_by("name", "pk")
    return rows.filter(name__icontains=query) if query else rows


def _after(rows: ProjectQuerySet, key: int | None) -> ProjectQuerySet:
    """The rows that follow the project `key` by name; from the top when it is gone."""
    name = Project.objects.filter(pk=key).values_list("name", flat=True).first() if key else None
    return rows if name is None else rows.filter(Q(name__gt=name) | Q(name=name, pk__gt=key))


def project_rows(projects: Sequence[Project], now: datetime) -> list[ProjectRow]:
    """Of projects `with_newest_revision()`, in three queries for all."""
    newest = {project.pk: getattr(project, "newest_revision_id") for project in projects}  # noqa: B009 - annotated
    revisions = Revision.objects.select_related("created_by").in_bulk([pk for pk in newest.values() if pk])
    contents = contents_of(newest)
    return [_row(project, revisions.get(newest[project.pk]), contents[project.pk], now) for project in projects]


def contents_of(newest: Mapping[int, int | None]) -> Mapping[int, Contents]:
    """What is in each project, by its id; `newest` has the id of its newest revision."""
    lasts = _last_states([pk for pk in newest.values() if pk])
    switched = _switched(newest)
    return {
        project: Contents(
            workflows=sum(lasts[revision or 0].values()),
            on=switched[project][True],
            off=switched[project][False],
            lasts=Counter({state: count for state, count in lasts[revision or 0].items() if state}),
        )
        for project, revision in newest.items()
    }


def _last_states(revisions: Sequence[int]) -> dict[int, Counter[str]]:
    """By revision: how many of its workflows are in which state by their newest session; "" for those without one."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    attempts = Attempt.objects.filter(session__workflow=OuterRef("workflow"), is_latest=True)
    last = attempts.order_by("-session__session_time").values("status")[:1]
    rows = WorkflowDefinition.objects.filter(revision__in=revisions).annotate(last=Subquery(last))
    for revision, status, count in rows.values_list("revision", "last").annotate(Count("pk")).order_by():
        found[revision][status or ""] = count
    return found


def _switched(projects: Mapping[int, object]) -> dict[int, Counter[bool]]:
    """By project: how many of its schedules are on, and off."""
    found: dict[int, Counter[bool]] = defaultdict(Counter)
    rows = Schedule.objects.filter(workflow__project__in=list(projects)).values_list("workflow__project")
    for project, off, both in rows.annotate(Count("disabled_at"), Count("pk")).order_by():
        found[project] = Counter({True: both - off, False: off})
    return found


def _row(project: Project, revision: Revision | None, contents: Contents, now: datetime) -> ProjectRow:
    return ProjectRow(
        href=reverse("project", args=[project.pk]),
        name=project.name,
        revision=revision.name if revision else "",
        revision_href=reverse("revision", args=[project.pk, revision.pk]) if revision else "",
        pushed=moment(revision.created_at, UTC, now) if revision else None,
        by=user_name(revision),
        contents=contents,
    )
