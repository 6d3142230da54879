"""One revision of a project: its workflows, its files as text, its archive, and what changed in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from django.db.models import F, TextField
from django.db.models.functions import MD5, Cast
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from projects import archives
from projects.models import Project, Revision, WorkflowDefinition
from scheduler.timetable import TimetableError, parse_schedule
from scheduler.web.crumbs import project_crumbs
from scheduler.web.errors import Gone
from scheduler.web.frame import Page, is_staff, signed_in
from scheduler.web.paging import KeyPage, key_of, key_page
from scheduler.web.project_files import ADDED, CHANGED, definition_href, files_of, unreadable
from scheduler.web.times import Moment, moment

PAGE_SIZE = 100
COMPARED = 20_000  # definitions that one page compares
NAMED = 5
REMOVED = "removed"

Changes = dict[str, list[str]]  # what was done, to the names of workflows


@dataclass(frozen=True)
class RevisionRow:
    href: str
    name: str
    pushed: Moment | None
    by: str
    size: str
    changes: str
    archive_href: str


@dataclass(frozen=True)
class DefinitionRow:
    name: str
    href: str
    timetable: str
    tasks: int
    change: str


@require_safe
@signed_in
def revision_page(request: HttpRequest, project_id: int, revision_id: int) -> HttpResponse:
    now = timezone.now()
    revision = visible_revision(request, project_id, revision_id)
    before = _before(revision)
    changes = changes_of([revision, *([before] if before else [])]).get(revision.pk)
    marked = changes if changes and before else {}
    removed = marked.get(REMOVED, [])
    files, text = files_of(request, revision, before, _asked_definition(request, revision))
    facts: dict[str, Any] = {
        "page": Page(title=f"Revision {revision.name}", at="projects", crumbs=project_crumbs(revision.project)),
        "revision": revision_row(revision, changes_text(revision, before, changes), now),
        "is_newest": not revision.project.revisions.filter(pk__gt=revision.pk).exists(),
        "workflows": _definitions(request, revision, marked),
        "removed": removed[:PAGE_SIZE],
        "removed_more": f"{len(removed) - PAGE_SIZE:,}" if len(removed) > PAGE_SIZE else "",
        "files": files,
        "text": text,
        "admin_href": reverse("admin:projects_revision_change", args=[revision.pk]) if is_staff(request) else "",
    }
    return render(request, "hindcast/revision.html", facts)


@require_safe
@signed_in
def revision_archive(request: HttpRequest, project_id: int, revision_id: int) -> FileResponse:
    """The files of a revision, byte for byte as they were pushed."""
    revision = visible_revision(request, project_id, revision_id)
    if not revision.archive:
        raise Gone("This revision has no files.")
    try:
        content = archives.original(revision.archive)
    except FileNotFoundError as gone:
        raise Gone(unreadable(gone)) from gone
    name = f"{revision.project.name}-{revision.name}.tar.gz"
    return FileResponse(content, as_attachment=True, content_type="application/gzip", filename=name)


def visible_revision(request: HttpRequest, project_id: int, revision_id: int) -> Revision:
    rows = Revision.objects.filter(project__in=Project.objects.visible_to(request.user), project=project_id)
    return get_object_or_404(rows.select_related("project", "created_by"), pk=revision_id)


def revision_row(revision: Revision, changes: str, now: datetime) -> RevisionRow:
    """Needs `created_by`."""
    place = [revision.project_id, revision.pk]
    return RevisionRow(
        href=reverse("revision", args=place),
        name=revision.name,
        pushed=moment(revision.created_at, UTC, now),
        by=user_name(revision),
        size=filesizeformat(revision.archive_size) if revision.archive_size else "",
        changes=changes,
        archive_href=reverse("revision_archive", args=place) if revision.archive else "",
    )


def user_name(revision: Revision | None) -> str:
    """Who pushed it; empty where that is not known."""
    return revision.created_by.get_username() if revision and revision.created_by else ""


def revision_rows(revisions: Sequence[Revision], now: datetime) -> list[RevisionRow]:
    """Of revisions that follow each other, newest first; the last of them is compared with none."""
    changes = changes_of(revisions)
    pairs = zip(revisions, [*revisions[1:], None], strict=False)
    return [revision_row(row, changes_text(row, before, changes.get(row.pk)), now) for row, before in pairs]


def changes_of(revisions: Sequence[Revision]) -> Mapping[int, Changes]:
    """By revision: what was done to which workflows since the one that follows in `revisions`; in one query.

    The last one counts as the first of the project. Very large projects are not compared: empty.
    """
    found: dict[int, dict[str, str]] = defaultdict(dict)
    digest = MD5(Cast(F("document"), TextField()))
    rows = WorkflowDefinition.objects.filter(revision__in=[revision.pk for revision in revisions])
    rows = rows.annotate(digest=digest).order_by("-revision")[:COMPARED]
    texts = list(rows.values_list("revision", "workflow__name", "digest"))
    if len(texts) == COMPARED:
        return {}
    for revision, name, text in texts:
        found[revision][name] = text
    pairs = pairwise(revisions)
    changes = {here.pk: _compared(found[here.pk], found[there.pk]) for here, there in pairs}
    return {**changes, **{row.pk: _compared(found[row.pk], {}) for row in revisions[-1:]}}


def _compared(here: Mapping[str, str], there: Mapping[str, str]) -> Changes:
    changed = [name for name, text in here.items() if name in there and there[name] != text]
    named = ((CHANGED, changed), (ADDED, here.keys() - there.keys()), (REMOVED, there.keys() - here.keys()))
    return {what: sorted(names) for what, names in named if names}


def changes_text(revision: Revision, before: Revision | None, changes: Changes | None) -> str:
    """`changed orders; added report`; for the first revision what it began with; empty where nothing was compared."""
    if changes is None:
        return ""
    if before is None:
        return f"first revision, with {_names(changes[ADDED])}" if changes.get(ADDED) else "first revision"
    if changes:
        return "; ".join(f"{what} {_names(names)}" for what, names in changes.items())
    return "the same files" if revision.archive == before.archive else "no workflow, only other files"


def _names(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _before(revision: Revision) -> Revision | None:
    return revision.project.revisions.filter(pk__lt=revision.pk).order_by("-pk").first()


def _asked_definition(request: HttpRequest, revision: Revision) -> WorkflowDefinition | None:
    """The workflow in `?workflow=`; none for one of another revision."""
    asked = key_of(request, "workflow")
    return revision.definitions.select_related("workflow").filter(pk=asked).first() if asked else None


def _definitions(request: HttpRequest, revision: Revision, changes: Changes) -> KeyPage[DefinitionRow]:
    """The revision's workflows by name, a page of them."""
    after = key_of(request, "after")
    rows = revision.definitions.select_related("workflow").order_by("workflow__name", "pk")
    name = revision.definitions.filter(pk=after).values_list("workflow__name", flat=True).first() if after else None
    if name is not None:
        rows = rows.filter(workflow__name__gt=name)
    found = list(rows[: PAGE_SIZE + 1])
    what = {name: done for done, names in changes.items() for name in names}
    return key_page(
        [_definition_row(revision, row, what.get(row.workflow.name, "")) for row in found],
        size=PAGE_SIZE,
        key="after",
        last=found[:PAGE_SIZE][-1].pk if found else None,
        start=after,
        kept={},
    )


def _definition_row(revision: Revision, definition: WorkflowDefinition, change: str) -> DefinitionRow:
    return DefinitionRow(
        name=definition.workflow.name,
        href=definition_href(revision.project_id, definition),
        timetable=_timetable(definition),
        tasks=_tasks(definition.document),
        change=change,
    )


def _timetable(definition: WorkflowDefinition) -> str:
    """The timetable in words; empty for a workflow without a schedule."""
    said = definition.document.get("schedule")
    try:
        text = parse_schedule(said, definition.timezone).timetable.describe() if said else ""
    except TimetableError:
        return "a schedule that cannot be read"
    return f"{text}, {definition.timezone}" if text and definition.timezone not in text else text


def _tasks(document: Mapping[str, Any]) -> int:
    """How many tasks and groups are written in it."""
    count, open_ = 0, [document]
    while open_:
        inside = [value for key, value in open_.pop().items() if key.startswith("+")]
        count += len(inside)
        open_ += [value for value in inside if isinstance(value, dict)]
    return count
