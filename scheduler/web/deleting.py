"""Delete a project: asks once, saying what ends with it."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from scheduler import deletion
from scheduler.web.asking import Button, ask
from scheduler.web.crumbs import project_crumbs
from scheduler.web.errors import Gone
from scheduler.web.frame import DELETE, Page, signed_in
from scheduler.web.project import visible_project

STAYS = "Its sessions, attempts and logs stay in the database and are hidden. A deleted project does not come back."


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def project_delete(request: HttpRequest, project_id: int) -> HttpResponse:
    project = visible_project(request, project_id)
    if not request.user.has_perm(DELETE):
        raise PermissionDenied("Deleting a project needs the permission “Can delete project”.")
    if request.method != "POST":
        return ask(
            request,
            Page(title=f"Delete the project “{project.name}”", at="projects", crumbs=project_crumbs(project)),
            text=f"{ends_text(project.pk)} {STAYS}",
            buttons=[Button("Delete the project")],
            back=reverse("project", args=[project.pk]),
        )
    try:
        deletion.delete(project.pk, now=timezone.now())
    except deletion.ProjectNotFound as gone:
        raise Gone(gone.message) from gone
    messages.info(request, f"The project “{project.name}” is deleted.")
    return redirect("projects")


def ends_text(project_id: int) -> str:
    """`Removes 2 schedules and 1 secret. Kills 3 queued attempts. Stops 1 running attempt.`"""
    ends = deletion.extent(project_id)
    kept = ((ends.schedules, "schedule"), (ends.secrets, "secret"))
    removed = [_counted(count, word) for count, word in kept if count]
    sentences = (
        (bool(removed), f"Removes {' and '.join(removed)}."),
        (ends.queued, f"Kills {_counted(ends.queued, 'queued attempt')}."),
        (ends.running, f"Stops {_counted(ends.running, 'running attempt')}."),
    )
    return " ".join(text for holds, text in sentences if holds) or "Nothing of it is scheduled, queued or running."


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
