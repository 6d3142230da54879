"""DOOR: the REST API. Each view finds what the caller may see, makes one call, and shows what came of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiRequest
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from projects.access import visible_projects
from projects.models import Project, Workflow, WorkflowDefinition
from scheduler import schedules as schedule_verbs
from scheduler import starting
from scheduler.api import entries, shapes
from scheduler.api.authentication import key_of
from scheduler.api.fields import LARGEST_PAGE
from scheduler.api.permissions import BACKFILLING, CHANGING, READING, RUNNING
from scheduler.api.requests import (
    AttemptQuery,
    BackfillRequest,
    EnableRequest,
    ListQuery,
    SkipRequest,
    StartRequest,
)
from scheduler.api.rows import attempt_rows, session_rows
from scheduler.api.schema import BACKFILL_EXAMPLES, KILL_REFUSED, SKIP_REFUSED, START_REFUSED, documented
from scheduler.attempts import kill as kill_attempt
from scheduler.backfill import backfill as run_backfill
from scheduler.models import Attempt, Schedule, Session
from scheduler.models.attempt import AttemptQuerySet
from scheduler.models.schedule import ScheduleQuerySet
from scheduler.models.session import SessionQuerySet

Row = TypeVar("Row", bound=Model)
Rows = TypeVar("Rows", bound="QuerySet[Any]")
Found = TypeVar("Found")


class ReadingViewSet(ViewSet):
    permission_classes = READING
    http_method_names = ["get", "head", "post", "put"]
    lookup_value_converter = "int"


class ScheduleViewSet(ReadingViewSet):
    @documented("getSchedules", shapes.ScheduleList, parameters=[ListQuery])
    def list(self, request: Request) -> Response:
        """Schedules by rising id."""
        page = ListQuery.read(request)
        rows = schedules(request).filter(pk__gt=page.get("last_id", 0)).order_by("pk")
        return Response(entries.schedule_entries(rows[: size(page)]))

    @documented("getSchedule", shapes.Schedule, refused=[404])
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(entries.schedule_entry(one(schedules(request), pk, "schedule")))

    @documented(
        "backfillSchedule",
        shapes.BackfillAnswer,
        refused=[400, 404, 409, 413, 415],
        request=BackfillRequest,
        examples=BACKFILL_EXAMPLES,
        summary="Re-schedule past sessions by count or duration",
    )
    @action(detail=True, methods=["post"], permission_classes=BACKFILLING)
    def backfill(self, request: Request, pk: int) -> Response:
        """Run past sessions again: each gets a new attempt of the given name.

        They run one after the other unless `concurrency` says otherwise. All of them are created, or none. A session
        that already has an attempt of that name, or one that is not done, is a conflict, in a dry run, too. A dry run
        answers the same with ids `0`, and writes nothing.
        """
        one(schedules(request), pk, "schedule")
        wanted = BackfillRequest.read(request)
        now = datetime.now(UTC)
        plan = run_backfill(schedule_id=pk, **wanted, now=now, requested_by=cast(User, request.user))
        return Response(entries.plan_entry(plan, now=now))

    @documented(
        "skipSchedule",
        shapes.ScheduleSummary,
        refused=[400, 404, 413, 415],
        conflict=SKIP_REFUSED,
        request=SkipRequest,
        summary="Skip sessions forward to a future time",
    )
    @action(detail=True, methods=["post"], permission_classes=CHANGING)
    def skip(self, request: Request, pk: int) -> Response:
        """Move the schedule forward. The sessions passed over are recorded as skipped, and can still be backfilled."""
        one(schedules(request), pk, "schedule")
        skipped = schedule_verbs.skip(pk, **SkipRequest.read(request), now=datetime.now(UTC))
        return Response(entries.schedule_summary(skipped.schedule))

    @documented(
        "disableSchedule", shapes.ScheduleSummary, refused=[404], request=None, summary="Stop starting sessions"
    )
    @action(detail=True, methods=["post"], permission_classes=CHANGING)
    def disable(self, request: Request, pk: int) -> Response:
        """What runs goes on, and backfills still work."""
        one(schedules(request), pk, "schedule")
        schedule_verbs.disable(pk, now=datetime.now(UTC))
        return Response(entries.schedule_summary(one(schedules(request), pk, "schedule")))

    @documented(
        "enableSchedule",
        shapes.ScheduleSummary,
        refused=[400, 404, 413, 415],
        conflict=SKIP_REFUSED,
        request=OpenApiRequest(EnableRequest),
        summary="Start sessions again",
    )
    @action(detail=True, methods=["post"], permission_classes=CHANGING)
    def enable(self, request: Request, pk: int) -> Response:
        """Sessions that came due meanwhile are run, or skipped with `skipSchedule`. The body may be left out."""
        one(schedules(request), pk, "schedule")
        now = datetime.now(UTC)
        skips, target = EnableRequest.read(request)
        if skips:
            schedule_verbs.enable_past(pk, target, now=now)
        else:
            schedule_verbs.enable(pk, now=now)
        return Response(entries.schedule_summary(one(schedules(request), pk, "schedule")))


class SessionViewSet(ReadingViewSet):
    @documented("getSessions", shapes.SessionList, parameters=[ListQuery])
    def list(self, request: Request) -> Response:
        """Sessions by falling id, each with its latest attempt."""
        page = ListQuery.read(request)
        rows = Session.objects.filter(workflow__project__in=project_names(request))
        return Response(entries.session_entries(session_rows(newest(rows, page))))

    @documented("getSession", shapes.Session, refused=[404])
    def retrieve(self, request: Request, pk: int) -> Response:
        rows = session_rows(sessions(request).filter(pk=pk))
        return Response(entries.session_entry(*only(rows, pk, "session")))

    @documented("getSessionAttempts", shapes.AttemptList, refused=[404], parameters=[ListQuery])
    @action(detail=True)
    def attempts(self, request: Request, pk: int) -> Response:
        """Attempts of one session, the newest first."""
        page = ListQuery.read(request)
        one(sessions(request), pk, "session")
        return Response(entries.attempt_entries(attempt_rows(newest(Attempt.objects.filter(session=pk), page))))


class NotKilled(APIException):
    status_code = 409

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(f"Attempt {attempt.pk} is {attempt.status} already.")


class AttemptViewSet(ReadingViewSet):
    on_put = "start"

    def get_permissions(self) -> Sequence[Any]:
        return [rule() for rule in RUNNING] if self.action == "start" else super().get_permissions()

    @documented("getAttempts", shapes.AttemptList, refused=[404], parameters=[AttemptQuery])
    def list(self, request: Request) -> Response:
        """Attempts by falling id: the latest of each session, or all with `include_retried`."""
        query = AttemptQuery.read(request)
        rows = attempts_asked_for(project_names(request), query)
        return Response(entries.attempt_entries(attempt_rows(newest(rows, query))))

    @documented("getAttempt", shapes.Attempt, refused=[404])
    def retrieve(self, request: Request, pk: int) -> Response:
        rows = attempt_rows(attempts(request).filter(pk=pk))
        return Response(entries.attempt_entry(*only(rows, pk, "attempt")))

    @documented(
        "startAttempt",
        shapes.Attempt,
        refused=[400, 404, 413, 415],
        conflict=START_REFUSED,
        request=StartRequest,
        summary="Start or retry a session",
    )
    def start(self, request: Request) -> Response:
        """Start the session of this time, or run it again under a new name.

        A session that already has an attempt of that name, or one that is not done, is a conflict; the answer is
        that attempt then.
        """
        wanted = StartRequest.read(request)
        one(definitions(request), wanted["definition_id"], "workflow")
        attempt = starting.start(**wanted, now=datetime.now(UTC))
        return Response(attempt_answer(attempt.pk))

    @documented(
        "killAttempt", shapes.Attempt, refused=[404], conflict=KILL_REFUSED, request=None, summary="Kill an attempt"
    )
    @action(detail=True, methods=["post"], permission_classes=RUNNING)
    def kill(self, request: Request, pk: int) -> Response:
        """A queued attempt is killed at once; a running one is canceling until its task has ended."""
        one(Attempt.objects.visible_to(request.user, key_of(request)), pk, "attempt")
        if not kill_attempt(pk, now=datetime.now(UTC)):
            raise NotKilled(Attempt.objects.get(pk=pk))
        return Response(attempt_answer(pk))

    @documented("getAttemptRetries", shapes.AttemptList, refused=[404])
    @action(detail=True)
    def retries(self, request: Request, pk: int) -> Response:
        """All attempts of the same session, by index."""
        attempt = one(attempts(request), pk, "attempt")
        rows = Attempt.objects.filter(session=attempt.session_id).order_by("index")
        return Response(entries.attempt_entries(attempt_rows(rows)))

    @documented("getAttemptTasks", shapes.TaskList, refused=[404])
    @action(detail=True)
    def tasks(self, request: Request, pk: int) -> Response:
        """The steps of the attempt, in the order of the definition."""
        attempt = one(attempts(request), pk, "attempt")
        return Response(entries.task_entries(attempt, list(attempt.tasks.order_by("position"))))


class NothingHere(APIView):
    """Every other path below /api/."""

    permission_classes = [IsAuthenticated]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound("There is nothing at this address.")


def schedules(request: Request) -> ScheduleQuerySet:
    return Schedule.objects.visible_to(request.user, key_of(request)).select_related("workflow__project")


def sessions(request: Request) -> SessionQuerySet:
    """To be read by id, as what follows: a deleted project is no longer listed, but its history can be looked up."""
    return Session.objects.remembered_for(request.user, key_of(request))


def attempts(request: Request) -> AttemptQuerySet:
    return Attempt.objects.remembered_for(request.user, key_of(request))


def definitions(request: Request) -> QuerySet[WorkflowDefinition]:
    visible = Project.objects.visible_to(request.user, key_of(request))
    return WorkflowDefinition.objects.filter(workflow__project__in=visible).only("pk")


def attempt_answer(pk: int) -> entries.Entry:
    return entries.attempt_entry(*attempt_rows(Attempt.objects.filter(pk=pk))[0])


def one(rows: QuerySet[Row], pk: int, what: str) -> Row:
    return only(list(rows.filter(pk=pk)), pk, what)


def only(rows: Sequence[Found], pk: int, what: str) -> Found:
    if not rows:
        raise NotFound(f"There is no {what} {pk}.")
    return rows[0]


def project_names(request: Request) -> dict[int, str]:
    """The projects that the caller may see, by id; lists read them first."""
    return visible_projects(request.user, key_of(request))


def attempts_asked_for(projects: dict[int, str], query: dict[str, Any]) -> AttemptQuerySet:
    wanted = [pk for pk, name in projects.items() if query.get("project", name) == name]
    if "project" in query and not wanted:
        raise NotFound(f"There is no project {query['project']!r}.")
    if "project" in query or "workflow" in query:
        named = {"name": query["workflow"]} if "workflow" in query else {}
        workflows = Workflow.objects.filter(project__in=wanted, **named)
        rows = Attempt.objects.filter(workflow__in=list(workflows.values_list("pk", flat=True)))
    else:
        rows = Attempt.objects.filter(workflow__project__in=wanted)
    return rows if query.get("include_retried", False) else rows.filter(is_latest=True)


def newest(rows: Rows, page: dict[str, Any]) -> Rows:
    """One page of rows by falling id."""
    if "last_id" in page:
        rows = rows.filter(pk__lt=page["last_id"])
    return rows.order_by("-pk")[: size(page)]


def size(page: dict[str, Any]) -> int:
    return int(page.get("page_size", LARGEST_PAGE))
