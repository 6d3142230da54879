"""DOOR: projects and workflows over the REST API: push, look, delete, secrets."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from projects import archives, secrets
from projects.models import Project, ProjectQuerySet, Revision, WorkflowDefinition
from projects.uploads import Upload, receive
from scheduler import deletion, pushing
from scheduler.api import entries, shapes
from scheduler.api.authentication import key_of
from scheduler.api.permissions import DELETING, KEEPING_SECRETS, PUSHING
from scheduler.api.project_entries import (
    project_entry,
    revision_entry,
    secret_entry,
    truncated_entry,
    workflow_entries,
    workflow_entry,
)
from scheduler.api.project_requests import (
    NamedWorkflowQuery,
    NameInProjectQuery,
    OneProjectQuery,
    OneWorkflowQuery,
    ProjectQuery,
    ProjectWorkflowQuery,
    PushQuery,
    RevisionListQuery,
    RevisionQuery,
    SecretRequest,
    TruncationQuery,
    WorkflowQuery,
)
from scheduler.api.project_shapes import (
    ChangedSecret,
    ProjectList,
    ProjectShape,
    RevisionList,
    SecretList,
    TruncatedTime,
    WorkflowList,
    WorkflowShape,
)
from scheduler.api.rows import session_rows
from scheduler.api.schema import FILES_REFUSED, REVISION_TAKEN, documented
from scheduler.api.views import ReadingViewSet, newest, one, schedules, size
from scheduler.models import Session
from scheduler.timetable import zone
from scheduler.truncation import truncated

GZIP = {(200, "application/gzip"): OpenApiResponse(OpenApiTypes.BINARY, "A tar.gz.")}


CLEARED = OpenApiParameter(
    "clear_schedule", str, many=True, description="A workflow whose schedule starts as if it were new."
)


class ProjectViewSet(ReadingViewSet):
    http_method_names = ["get", "head", "put", "delete"]
    on_put = "push"

    def get_permissions(self) -> Any:
        rules = {"push": PUSHING, "destroy": DELETING}.get(self.action)
        return [rule() for rule in rules] if rules else super().get_permissions()

    @documented("getProjects", ProjectList, parameters=[ProjectQuery])
    def list(self, request: Request) -> Response:
        """Projects by rising id, each as its newest revision has it."""
        page = ProjectQuery.paged(request)
        rows = pushed(projects(request)).filter(pk__gt=page.get("last_id", 0))
        if "name" in page:
            rows = rows.filter(name=page["name"])
        if "name_pattern" in page:
            rows = rows.filter(holds("name", page["name_pattern"]))
        return Response({"projects": shown(rows.order_by("pk")[: size(page)])})

    @documented(
        "putProject",
        ProjectShape,
        refused=[400, 404, 408, 413],
        conflict=REVISION_TAKEN,
        files_refused=FILES_REFUSED,
        request={"application/gzip": OpenApiTypes.BINARY},
        parameters=[PushQuery, CLEARED],
        summary="Push a project",
    )
    def push(self, request: Request) -> Response:
        """The body is a tar.gz of the project's folder. It becomes the newest revision, or nothing changes."""
        wanted = PushQuery.arguments(request)
        refuse_hidden(request, wanted["project_name"])
        with body_of(request) as upload:
            revision = pushing.push(upload=upload, **wanted, now=datetime.now(UTC), created_by=cast(User, request.user))
        return Response(project_entry(revision.project, revision))

    @documented("getProject", ProjectShape, refused=[404])
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(shown([one(pushed(projects(request)), pk, "project")])[0])

    @documented("getProjectByName", ProjectShape, refused=[404], parameters=[OneProjectQuery])
    def named(self, request: Request) -> Response:
        """The project of a name."""
        return Response(shown([of_name(pushed(projects(request)), OneProjectQuery.read(request)["name"])])[0])

    @documented("deleteProject", ProjectShape, refused=[404], summary="Delete a project")
    def destroy(self, request: Request, pk: int) -> Response:
        """Its schedules go, what runs is killed, its name is free. Sessions, attempts and logs stay."""
        project = one(pushed(projects(request)), pk, "project")
        deletion.delete(project.pk, now=datetime.now(UTC))
        project.refresh_from_db(fields=["deleted_at"])
        return Response(shown([project])[0])

    @documented("getProjectRevisions", RevisionList, refused=[404], parameters=[RevisionListQuery])
    @action(detail=True)
    def revisions(self, request: Request, pk: int) -> Response:
        page = RevisionListQuery.read(request)
        rows = one(projects(request), pk, "project").revisions.select_related("created_by")
        if "name" in page:
            rows = rows.filter(name=page["name"])
        return Response({"revisions": [revision_entry(row) for row in newest(rows, page)]})

    @documented("getProjectWorkflows", WorkflowList, refused=[404], parameters=[ProjectWorkflowQuery])
    @action(detail=True)
    def workflows(self, request: Request, pk: int) -> Response:
        """Workflows of one revision, by name."""
        asked = ProjectWorkflowQuery.read(request)
        revision = revision_of(one(projects(request), pk, "project"), asked.get("revision"))
        rows = in_full(revision.definitions.all())
        for name in {"name", "workflow"} & asked.keys():
            rows = rows.filter(workflow__name=asked[name])
        return Response(workflow_entries(rows.order_by("workflow__name")))

    @documented("getProjectWorkflow", WorkflowShape, refused=[404], parameters=[NameInProjectQuery])
    @action(detail=True)
    def workflow(self, request: Request, pk: int) -> Response:
        """The workflow of a name."""
        asked = NameInProjectQuery.read(request)
        revision = revision_of(one(projects(request), pk, "project"), asked.get("revision"))
        return Response(workflow_entry(workflow_of(revision, asked["name"])))

    @documented("getProjectWorkflowByName", WorkflowShape, refused=[404], parameters=[RevisionQuery])
    @action(detail=True, url_path="workflows/<str:name>")
    def workflow_by_name(self, request: Request, pk: int, name: str) -> Response:
        """The same, by another address."""
        asked = RevisionQuery.read(request)
        revision = revision_of(one(projects(request), pk, "project"), asked.get("revision"))
        return Response(workflow_entry(workflow_of(revision, name)))

    @documented("getProjectSchedules", shapes.ScheduleList, refused=[404], parameters=[NamedWorkflowQuery])
    @action(detail=True)
    def schedules(self, request: Request, pk: int) -> Response:
        page = NamedWorkflowQuery.read(request)
        project = one(projects(request), pk, "project")
        rows = schedules(request).filter(workflow__project=project, pk__gt=page.get("last_id", 0))
        if "workflow" in page:
            rows = rows.filter(workflow__name=page["workflow"])
        return Response(entries.schedule_entries(rows.order_by("pk")[: size(page)]))

    @documented("getProjectSessions", shapes.SessionList, refused=[404], parameters=[NamedWorkflowQuery])
    @action(detail=True)
    def sessions(self, request: Request, pk: int) -> Response:
        page = NamedWorkflowQuery.read(request)
        project = one(projects(request), pk, "project")
        named = {"name": page["workflow"]} if "workflow" in page else {}
        workflows = list(project.workflows.filter(**named).values_list("pk", flat=True))
        rows = Session.objects.filter(workflow__in=workflows)
        return Response(entries.session_entries(session_rows(newest(rows, page))))

    @documented("getProjectArchive", GZIP, refused=[404], parameters=[RevisionQuery])
    @action(detail=True)
    def archive(self, request: Request, pk: int) -> FileResponse:
        """The files of a revision, byte for byte as they were pushed."""
        asked = RevisionQuery.read(request)
        revision = revision_of(one(projects(request), pk, "project"), asked.get("revision"))
        if not revision.archive:
            raise NotFound(f"The revision {revision.name!r} has no files.")
        try:
            content = archives.original(revision.archive)
        except FileNotFoundError:
            raise NotFound(f"The files of the revision {revision.name!r} are not in the storage any more.") from None
        return FileResponse(content, content_type="application/gzip", filename=f"{revision.project.name}.tar.gz")

    @documented("getProjectSecrets", SecretList, refused=[404], summary="Keys of the secrets")
    @action(detail=True, url_path="secrets", permission_classes=KEEPING_SECRETS)
    def secrets(self, request: Request, pk: int) -> Response:
        project = one(projects(request), pk, "project")
        return Response({"secrets": [{"key": key} for key in secrets.keys(project.pk)]})

    @documented("putProjectSecret", ChangedSecret, refused=[400, 404, 413, 415], request=SecretRequest)
    @action(detail=True, methods=["put"], url_path="secrets/<str:key>", permission_classes=KEEPING_SECRETS)
    def secret(self, request: Request, pk: int, key: str) -> Response:
        """Set a secret. Nobody can read it back; tasks get it by its key."""
        project = one(projects(request), pk, "project")
        secrets.put(project_id=project.pk, key=key, value=SecretRequest.read(request), now=datetime.now(UTC))
        return Response(secret_entry(project, key))

    @documented("deleteProjectSecret", ChangedSecret, refused=[400, 404])
    @secret.mapping.delete  # type: ignore[untyped-decorator]
    def forget_secret(self, request: Request, pk: int, key: str) -> Response:
        """A key that there is not is no error."""
        project = one(projects(request), pk, "project")
        secrets.check_key(key)
        secrets.delete(project_id=project.pk, key=key)
        return Response(secret_entry(project, key))


class WorkflowViewSet(ReadingViewSet):
    http_method_names = ["get", "head"]

    @documented("getWorkflows", WorkflowList, parameters=[WorkflowQuery])
    def list(self, request: Request) -> Response:
        """Workflows of the newest revisions, by id."""
        page = WorkflowQuery.paged(request)
        rows = in_full(newest_definitions(projects(request)))
        if pattern := page.get("name_pattern"):
            found = holds("workflow__name", pattern)
            if page.get("search_project_name"):
                found |= holds("workflow__project__name", pattern)
            rows = rows.filter(found)
        if page.get("order") == "desc":
            return Response(workflow_entries(newest(rows, page)))
        return Response(workflow_entries(rows.filter(pk__gt=page.get("last_id", 0)).order_by("pk")[: size(page)]))

    @documented("getWorkflow", WorkflowShape, refused=[404])
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(workflow_entry(one(definitions(request), pk, "workflow")))

    @documented("getWorkflowByName", WorkflowShape, refused=[404], parameters=[OneWorkflowQuery])
    def named(self, request: Request) -> Response:
        """The workflow of a name in a project of a name."""
        asked = OneWorkflowQuery.read(request)
        project = of_name(projects(request), asked["project"])
        return Response(workflow_entry(workflow_of(revision_of(project, asked.get("revision")), asked["name"])))

    @documented("getTruncatedSessionTime", TruncatedTime, refused=[404], parameters=[TruncationQuery])
    @action(detail=True, url_path="truncated_session_time")
    def truncated_session_time(self, request: Request, pk: int) -> Response:
        asked = TruncationQuery.read(request)
        definition = one(definitions(request), pk, "workflow")
        at = truncated(definition, asked["session_time"], asked.get("mode", ""))
        return Response(truncated_entry(definition, entries.local_time(at, zone(definition.timezone))))


def holds(field: str, part: str) -> Q:
    """The field has that part in it. Case counts on every database: LIKE, which `contains` is, ignores it in SQLite."""
    return Q(GreaterThan(StrIndex(field, Value(part)), 0))


@contextmanager
def body_of(request: Request) -> Iterator[Upload]:
    """The body as it comes, never in memory as a whole."""
    stream = request._request
    length = stream.META.get("CONTENT_LENGTH")
    connection = stream.META.get("gunicorn.socket")
    cut = (lambda: connection.shutdown(socket.SHUT_RD)) if connection else None
    with receive(stream, declared=int(length) if length else None, cut=cut) as upload:
        yield upload


def refuse_hidden(request: Request, name: str) -> None:
    """A project that the caller may not see is not there for him, nor one beside the one that his key opens."""
    if Project.objects.is_name_closed_to(name, request.user, key_of(request)):
        raise NotFound(f"There is no project {name!r} that you may push to.")


def projects(request: Request) -> ProjectQuerySet:
    return Project.objects.visible_to(request.user, key_of(request))


def definitions(request: Request) -> QuerySet[WorkflowDefinition]:
    return in_full(WorkflowDefinition.objects.filter(workflow__project__in=projects(request)))


def in_full(rows: QuerySet[WorkflowDefinition]) -> QuerySet[WorkflowDefinition]:
    return rows.select_related("workflow__project", "revision")


def pushed(rows: ProjectQuerySet) -> QuerySet[Any]:
    """Projects that have a revision, with `newest_revision_id`."""
    newest: QuerySet[Any] = rows.with_newest_revision()
    return newest.filter(newest_revision_id__isnull=False)


def newest_definitions(rows: ProjectQuerySet) -> QuerySet[WorkflowDefinition]:
    latest = list(pushed(rows).values_list("newest_revision_id", flat=True))
    return WorkflowDefinition.objects.filter(revision__in=latest)


def shown(rows: Any) -> list[entries.Entry]:
    """Projects with their newest revisions, read in one query."""
    found = list(rows)
    latest = Revision.objects.in_bulk([project.newest_revision_id for project in found])
    return [project_entry(project, latest[project.newest_revision_id]) for project in found]


def of_name(rows: QuerySet[Any], name: str) -> Any:
    """The project `name` of these."""
    project = rows.filter(name=name).first()
    if project is None:
        raise NotFound(f"There is no project {name!r}.")
    return project


def workflow_of(revision: Revision, name: str) -> WorkflowDefinition:
    rows = in_full(revision.definitions.filter(workflow__name=name))
    definition = None if "\0" in name else rows.first()  # PostgreSQL has no such text
    if definition is None:
        raise NotFound(f"There is no workflow {name!r} in the project {revision.project.name!r}.")
    return definition


def revision_of(project: Project, name: str | None) -> Revision:
    rows = project.revisions.select_related("project").order_by("-pk")
    revision = rows.filter(name=name).first() if name is not None else rows.first()
    if revision is None:
        raise NotFound(f"The project {project.name!r} has no revision{f' {name!r}' if name is not None else ''}.")
    return revision
