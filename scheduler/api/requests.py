"""What comes in: shapes and types. The rules about values are the verb's; they are asked here field by field, so that
one answer names every field that is wrong."""
# ruff: noqa: N815 - the names are the wire's

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, QueryDict
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request

from scheduler import backfill
from scheduler.api.fields import Count, Flag, Instant, Name, QueryFlag, QueryId, QueryName, QuerySize
from scheduler.errors import InvalidInput

HARMLESS = backfill.Request(attempt_name="name", from_time=datetime(2000, 1, 1, tzinfo=UTC))


def rule(field: str) -> Callable[[Any], None]:
    """The verb's rule about one field of a backfill."""

    def check(value: Any) -> None:
        try:
            backfill.checked(replace(HARMLESS, **{field: value}))
        except InvalidInput as refusal:
            raise ValidationError(refusal.errors[field]) from None

    return check


@extend_schema_serializer(component_name="Backfill")
class BackfillRequest(serializers.Serializer[Any]):
    attemptName = Name(source="attempt_name", validators=[rule("attempt_name")], help_text="Name of the new attempts.")
    fromTime = Instant(
        source="from_time",
        validators=[rule("from_time")],
        help_text="Sessions whose run time is at or after this moment are run, up to the schedule's next one.",
    )
    dryRun = Flag(source="dry_run", help_text="Answer what would be run, and write nothing.")
    count = Count(
        required=False,
        allow_null=True,
        validators=[rule("count")],
        help_text="Starts given number of sessions; all sessions when not set.",
    )

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The arguments of `backfill.backfill`. Raises ValidationError naming every wrong field, or ParseError."""
        if not isinstance(request.data, dict):
            raise ParseError("The body is not a JSON object.")
        return valid(cls(data=request.data))


class ListQuery(serializers.Serializer[Any]):
    """Paging by key: `last_id` is the last id of the page before."""

    last_id = QueryId(required=False, help_text="The last id of the page before.")
    page_size = QuerySize(required=False, help_text="How many at most.")

    @classmethod
    def read(cls, request: HttpRequest | Request) -> dict[str, Any]:
        """The parameters by name. Raises ValidationError naming the wrong and the repeated ones; ignores others."""
        # Not request.query_params: those are decoded by the charset that the request names, and any can be named.
        given = QueryDict(request.META.get("QUERY_STRING", ""), encoding="utf-8")
        names = [name for name in cls().get_fields() if name in given]
        if repeated := [name for name in names if len(given.getlist(name)) > 1]:
            raise ValidationError({name: ["Give it once."] for name in repeated})
        return valid(cls(data={name: given[name] for name in names}))


class AttemptQuery(ListQuery):
    project = QueryName(required=False, help_text="Name of a project.")
    workflow = QueryName(required=False, help_text="Name of a workflow.")
    include_retried = QueryFlag(required=False, help_text="All attempts, not just the latest of each session.")


def valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
