"""Projects and what is in them. Contents come by revisions, never by hand; who may see a project is set here."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from projects import archives
from projects.admin.columns import EMPTY, document_column, link_column, list_links, list_url, moment_column, row_link
from projects.admin.lists import HindcastAdmin, KeysetAdmin, ReadOnlyAdmin, linked, row_id
from projects.models import Project, ProjectGroup, Revision, Workflow, WorkflowDefinition

SOME = 50  # how many workflows one search text may stand for
DOWNLOAD = "projects_revision_archive"


class GroupInline(admin.TabularInline[ProjectGroup, Project]):
    """Whoever may change the project may say who sees it."""

    model = ProjectGroup
    extra = 1
    verbose_name = "group"
    verbose_name_plural = "Groups whose members may see this project; without one, everybody who can sign in"

    def has_view_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return request.user.has_perm("projects.view_project") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return request.user.has_perm("projects.change_project")

    has_delete_permission = has_change_permission

    def has_add_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return self.has_change_permission(request, obj)


class LiveFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "live"), ("deleted", "deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Project]) -> QuerySet[Project]:
        if self.value() not in ("live", "deleted"):
            return queryset
        return queryset.filter(deleted_at__isnull=self.value() == "live")


class ProjectAdmin(HindcastAdmin[Project]):
    """Registered by the scheduler's admin, which adds the deletion."""

    path_to_project = "pk"
    list_display = (
        "name",
        "newest",
        moment_column("created_at", "Created"),
        moment_column("deleted_at", "Deleted"),
        "contents",
    )
    list_filter = (LiveFilter,)
    search_fields = ("name",)
    search_help_text = "Part of a name."
    ordering = ("name",)
    fields: ClassVar[Any] = (
        "name",
        moment_column("created_at", "Created"),
        moment_column("deleted_at", "Deleted"),
        "contents",
    )
    readonly_fields: ClassVar[Any] = fields
    inlines = (GroupInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Project], search_term: str
    ) -> tuple[QuerySet[Project], bool]:
        """Forms look for a project here, too, and take live ones alone; the list has all of them."""
        if request.resolver_match and request.resolver_match.url_name == "autocomplete":
            # Nobody checked this term, and PostgreSQL takes no zero byte.
            queryset, search_term = queryset.filter(deleted_at=None), search_term.replace("\x00", "\ufffd")
        return super().get_search_results(request, queryset, search_term)

    def for_list(self, rows: QuerySet[Project]) -> QuerySet[Project]:
        return rows.with_newest_revision()  # type: ignore[attr-defined, no-any-return]

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        """Only the groups can be changed, by the inline. A save would undo a deletion since the row was loaded."""

    @admin.display(description="Newest revision")
    def newest(self, project: Project) -> str:
        revision = getattr(project, "newest_revision_id", None)
        name = getattr(project, "newest_revision_name", "")
        return row_link(Revision(pk=revision, name=name)) if revision else EMPTY

    @admin.display(description="Contents")
    def contents(self, project: Project) -> str:
        return list_links(
            (list_url("projects_workflow", project=project.pk), "Workflows"),
            (list_url("projects_revision", project=project.pk), "Revisions"),
            (list_url("scheduler_schedule", project=project.pk), "Schedules"),
            (list_url("projects_secret", project=project.pk), "Secrets"),
        )


@admin.register(Revision)
class RevisionAdmin(KeysetAdmin[Revision]):
    path_to_project = "project"
    list_display = (
        "name",
        link_column("project", "Project"),
        moment_column("created_at", "Created"),
        "created_by",
        "definitions",
        "files",
    )
    list_select_related = ("project", "created_by")
    list_filter = (linked("project", Project), linked("user", User, "created_by"))
    search_fields = ("name",)
    search_help_text = "An id, or how a name starts."
    sections = (
        (None, ("name", "project", moment_column("created_at", "Created"), "created_by", "definitions")),
        ("Archive", ("files", "archive_md5", "archive")),
    )

    def get_urls(self) -> list[URLPattern]:
        own = path("<path:object_id>/archive/", self.admin_site.admin_view(self.download), name=DOWNLOAD)
        return [own, *super().get_urls()]

    def download(self, request: HttpRequest, object_id: str) -> FileResponse:
        """The archive, byte for byte as it was pushed."""
        revision = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, revision):
            raise PermissionDenied
        if revision is None or not revision.archive:
            raise Http404("There is no archive.")
        try:
            content = archives.original(revision.archive)
        except FileNotFoundError as gone:
            raise Http404("The archive is not in the storage any more.") from gone
        name = f"{revision.project.name}-{revision.name}.tar.gz"
        return FileResponse(content, as_attachment=True, content_type="application/gzip", filename=name)

    @admin.display(description="Archive")
    def files(self, revision: Revision) -> str:
        if not revision.archive:
            return "no files"
        url = reverse(f"admin:{DOWNLOAD}", args=[revision.pk])
        return format_html('<a href="{}">Download</a> ({})', url, filesizeformat(revision.archive_size))

    def found(self, rows: QuerySet[Revision], term: str) -> QuerySet[Revision]:
        number = row_id(term)
        return rows.filter(pk=number) if number is not None else rows.filter(name__startswith=term)

    @admin.display(description="Definitions")
    def definitions(self, revision: Revision) -> str:
        return list_links((list_url("projects_workflowdefinition", revision=revision.pk), "Definitions"))


@admin.register(Workflow)
class WorkflowAdmin(ReadOnlyAdmin[Workflow]):
    path_to_project = "project"
    list_display = ("name", link_column("project", "Project"), "work")
    list_select_related = ("project", "schedule")
    list_filter = (linked("project", Project),)
    search_fields = ("name", "project__name")
    search_help_text = "Part of the name of a workflow or its project."
    ordering = ("project__name", "name")
    sections = ((None, ("name", "project", "work")),)
    actions = None

    @admin.display(description="Work")
    def work(self, workflow: Workflow) -> str:
        return list_links(
            (list_url("scheduler_schedule", workflow=workflow.pk), "Schedule"),
            (list_url("scheduler_session", workflow=workflow.pk), "Sessions"),
            (list_url("scheduler_attempt", workflow=workflow.pk), "Attempts"),
            (list_url("scheduler_backfill", workflow=workflow.pk), "Backfills"),
            (list_url("projects_workflowdefinition", workflow=workflow.pk), "Definitions"),
        )


@admin.register(WorkflowDefinition)
class WorkflowDefinitionAdmin(KeysetAdmin[WorkflowDefinition]):
    path_to_project = "workflow__project"
    list_display = (
        "id",
        link_column("workflow", "Workflow"),
        link_column("revision", "Revision"),
        link_column("workflow.project", "Project"),
        "timezone",
    )
    list_select_related = ("workflow__project", "revision")
    list_filter = (
        linked("workflow", Workflow),
        linked("revision", Revision),
        linked("project", Project, "workflow__project"),
    )
    search_fields = ("workflow__name",)
    search_help_text = "An id, or the exact name of a workflow."
    sections = ((None, ("workflow", "revision", "timezone", document_column("document", "Document"))),)

    def for_list(self, rows: QuerySet[WorkflowDefinition]) -> QuerySet[WorkflowDefinition]:
        return rows.defer("document")

    def found(self, rows: QuerySet[WorkflowDefinition], term: str) -> QuerySet[WorkflowDefinition]:
        number = row_id(term)
        if number is not None:
            return rows.filter(pk=number)
        named = Workflow.objects.filter(name=term).values_list("pk", flat=True)[:SOME]
        return rows.filter(workflow__in=list(named))
