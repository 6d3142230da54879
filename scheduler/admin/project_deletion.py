"""The action "Delete…" on projects, given to their admin from here: the verb is the scheduler's."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from projects.admin.confirm import YES, confirm, is_confirmed
from projects.admin.project import ProjectAdmin
from projects.admin.selection import at_most
from projects.models import Project
from scheduler import deletion

MOST = 50  # in one go, as each is counted


@admin.register(Project)
class DeletableProjectAdmin(ProjectAdmin):
    actions = ("delete_projects",)
    row_actions = actions

    def view_on_site(self, obj: Project) -> str | None:
        return None if obj.deleted_at else reverse("project", args=[obj.pk])

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Not `has_delete_permission`, which offers Django's own deletion of the rows."""
        return request.user.has_perm("projects.delete_project")

    @admin.action(description="Delete…", permissions=["remove"])
    def delete_projects(self, request: HttpRequest, rows: QuerySet[Project]) -> HttpResponse | None:
        selected = at_most(MOST, self, request, rows.filter(deleted_at=None).order_by("name"))
        if selected is None:
            return None
        if not selected:
            self.message_user(request, "The selected projects were deleted before.", messages.WARNING)
            return None
        if not is_confirmed(request):
            text = (
                "Their schedules and secrets are removed, queued attempts are killed, and running ones are stopped. "
                "Sessions and logs stay in the database, and are hidden. A deleted project does not come back."
            )
            lines = [line_of(project) for project in selected]
            return confirm(
                self,
                request,
                selected,
                action="delete_projects",
                title=f"Delete the project “{selected[0].name}”" if len(selected) == 1 else "",
                buttons=[(YES, f"Delete {counted(len(selected))}")],
                text=text,
                lines=lines,
            )
        gone = [project for project in selected if self._deleted(request, project)]
        self.message_user(request, f"{counted(len(gone))} deleted.", messages.SUCCESS)
        return None

    def _deleted(self, request: HttpRequest, project: Project) -> bool:
        try:
            deletion.delete(project.pk, now=timezone.now())
        except deletion.ProjectNotFound:
            return False
        self.log_change(request, project, "Deleted.")
        return True


def line_of(project: Project) -> str:
    ends = deletion.extent(project.pk)
    parts = (
        (ends.schedules, "schedule"),
        (ends.secrets, "secret"),
        (ends.queued, "queued attempt"),
        (ends.running, "running attempt"),
    )
    counts = [f"{count:,} {word}" if count == 1 else f"{count:,} {word}s" for count, word in parts]
    return f"{project.name}: {', '.join(counts)}"


def counted(number: int) -> str:
    return "1 project" if number == 1 else f"{number} projects"
