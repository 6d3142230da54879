"""DOOR: backfills over the REST API: look at them, kill one, run again what failed of it."""
# ruff: noqa: N815 - the names are the wire's

from datetime import UTC, datetime
from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler.api.authentication import key_of
from scheduler.api.backfill_entries import backfill_entries
from scheduler.api.backfill_shapes import BackfillList, BackfillShape
from scheduler.api.entries import plan_entry
from scheduler.api.fields import Flag, Name, QueryId
from scheduler.api.permissions import BACKFILLING, RUNNING
from scheduler.api.requests import ListQuery, body_of, rule, valid
from scheduler.api.schema import RETRY_REFUSED, documented
from scheduler.api.shapes import BackfillAnswer
from scheduler.api.views import ReadingViewSet, newest, one, project_names, schedules
from scheduler.attempts import kill_backfill
from scheduler.models import Backfill
from scheduler.models.backfill import BackfillQuerySet
from scheduler.retrying import retry_failed


class BackfillQuery(ListQuery):
    project_id = QueryId(required=False, help_text="Backfills of this project alone.")
    schedule_id = QueryId(required=False, help_text="Backfills of this schedule alone.")


@extend_schema_serializer(component_name="BackfillRetry")
class RetryRequest(serializers.Serializer[Any]):
    attemptName = Name(source="attempt_name", validators=[rule("attempt_name")], help_text="Name of the new attempts.")
    dryRun = Flag(source="dry_run", help_text="Answer what would be run, and write nothing.")

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The arguments of `retrying.retry_failed`. Raises ValidationError naming every wrong field, or ParseError."""
        return valid(cls(data=body_of(request)))


class BackfillViewSet(ReadingViewSet):
    @documented("getBackfills", BackfillList, refused=[404], parameters=[BackfillQuery])
    def list(self, request: Request) -> Response:
        """Backfills by falling id, each with how many of its attempts are in which state."""
        query = BackfillQuery.read(request)
        rows = newest(asked_for(request, query).with_names(), query)
        return Response({"backfills": backfill_entries(rows)})

    @documented("getBackfill", BackfillShape, refused=[404])
    def retrieve(self, request: Request, pk: int) -> Response:
        """Ask again until it is `done`."""
        rows = Backfill.objects.remembered_for(request.user, key_of(request)).with_names()
        return Response(backfill_entries([one(rows, pk, "backfill")])[0])

    @documented("killBackfill", BackfillShape, refused=[404], request=None, summary="Kill a backfill")
    @action(detail=True, methods=["post"], permission_classes=RUNNING)
    def kill(self, request: Request, pk: int) -> Response:
        """Kill every attempt of it that is not done: what waits at once, what runs when its task has ended.

        What is done stays done; when all are, nothing changes.
        """
        backfill = one(visible(request), pk, "backfill")
        kill_backfill(pk, now=datetime.now(UTC))
        return Response(backfill_entries([backfill])[0])

    @documented(
        "retryBackfill",
        BackfillAnswer,
        refused=[400, 404, 413, 415],
        conflict=RETRY_REFUSED,
        request=RetryRequest,
        summary="Run again what failed of a backfill",
    )
    @action(detail=True, methods=["post"], permission_classes=BACKFILLING)
    def retry(self, request: Request, pk: int) -> Response:
        """Backfill, under a new name, its sessions whose latest attempt failed or was killed; none is no error.

        They run all of their tasks, by the revision that the schedule has now. All are created, or none, and a dry
        run writes nothing, as with `backfillSchedule`.
        """
        backfill = one(visible(request), pk, "backfill")
        wanted = RetryRequest.read(request)
        now = datetime.now(UTC)
        plan = retry_failed(backfill, **wanted, now=now, requested_by=cast(User, request.user))
        return Response(plan_entry(plan, now=now))


def visible(request: Request) -> BackfillQuerySet:
    return Backfill.objects.visible_to(request.user, key_of(request)).with_names()


def asked_for(request: Request, query: dict[str, Any]) -> BackfillQuerySet:
    """Raises NotFound for a project or a schedule that the caller does not see."""
    projects = project_names(request)
    if "project_id" in query and query["project_id"] not in projects:
        raise NotFound(f"There is no project {query['project_id']}.")
    rows = Backfill.objects.filter(workflow__project__in=[query["project_id"]] if "project_id" in query else projects)
    if "schedule_id" in query:
        rows = rows.filter(schedule=one(schedules(request), query["schedule_id"], "schedule"))
    return rows
