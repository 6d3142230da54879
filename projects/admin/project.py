"""Projects and what is in them. Contents come by revisions, never by hand; who may see a project is set here."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from projects.admin.columns import document_column, link_column, list_links, list_url, moment_column
from projects.admin.lists import HindcastAdmin, KeysetAdmin, ReadOnlyAdmin, linked, row_id
from projects.models import Project, ProjectGroup, Revision, Workflow, WorkflowDefinition

SOME = 50  # how many workflows one search text may stand for


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


class ProjectAdmin(HindcastAdmin[Project]):
    """Registered by the scheduler's admin, which adds the deletion."""

    path_to_project = "pk"
    list_display = ("name", moment_column("created_at", "Created"), "contents")
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

    @admin.display(description="Contents")
    def contents(self, project: Project) -> str:
        return list_links(
            (list_url("projects_workflow", project=project.pk), "Workflows"),
            (list_url("projects_revision", project=project.pk), "Revisions"),
            (list_url("scheduler_schedule", project=project.pk), "Schedules"),
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
    )
    list_select_related = ("project", "created_by")
    list_filter = (linked("project", Project),)
    search_fields = ("name",)
    search_help_text = "An id, or how a name starts."
    sections = (
        (None, ("name", "project", "archive", moment_column("created_at", "Created"), "created_by", "definitions")),
    )

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
    list_filter = (linked("workflow", Workflow), linked("revision", Revision))
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
