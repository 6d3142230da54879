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
from scheduler.api.fields import (
    Count,
    Flag,
    Id,
    Instant,
    LocalOrInstant,
    Name,
    Params,
    QueryFlag,
    QueryId,
    QueryName,
    QuerySize,
)
from scheduler.errors import InvalidInput
from scheduler.models.backfill import Only
from scheduler.schedules import MOST_SKIPPED, Target
from scheduler.starting import Resume, ResumeMode

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
    toTime = Instant(
        source="to_time",
        required=False,
        allow_null=True,
        help_text="Sessions whose run time is before this moment are run. Up to the schedule's next one when not set.",
    )
    dryRun = Flag(source="dry_run", help_text="Answer what would be run, and write nothing.")
    count = Count(
        required=False,
        allow_null=True,
        validators=[rule("count")],
        help_text="Starts given number of sessions; all sessions when not set.",
    )
    only = serializers.ChoiceField(
        choices=Only.values,
        required=False,
        allow_null=True,
        error_messages={"invalid_choice": f"Give one of {', '.join(Only.values)}."},
        help_text="Which of them: `missing`, that were never run; `failed`, whose last attempt failed or was killed; "
        "`missing_or_failed`; `all` when not set.",
    )
    concurrency = Count(
        required=False,
        allow_null=True,
        validators=[rule("concurrency")],
        help_text=f"How many of its attempts run at once, at most {backfill.MOST_AT_ONCE}; 1 when not set.",
    )
    poolId = Id(source="pool_id", required=False, allow_null=True, help_text="The schedule's pool when not set.")

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The arguments of `backfill.backfill`. Raises ValidationError naming every wrong field, or ParseError."""
        given = valid(cls(data=body_of(request)))
        return {name: value for name, value in given.items() if value is not None}


@extend_schema_serializer(component_name="Resume")
class ResumeRequest(serializers.Serializer[Any]):
    """Which finished tasks of an earlier attempt are not run again."""

    mode = serializers.ChoiceField(
        choices=[mode.value for mode in ResumeMode],
        help_text="`failed`: run what did not succeed. `from`: run the task `from` and everything after it, too.",
        error_messages={"invalid_choice": "Give failed or from."},
    )
    attemptId = Id(source="attempt_id", help_text="The earlier attempt of the same session; it is done.")
    locals()["from"] = Name(
        required=False, help_text="Full name of a task, such as `+workflow+step`, or its end: `+step`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["mode"] == ResumeMode.FROM.value and "from" not in attrs:
            raise ValidationError({"from": ["Give the name of a task."]})
        return attrs


@extend_schema_serializer(component_name="Start")
class StartRequest(serializers.Serializer[Any]):
    workflowId = Id(source="definition_id", help_text="Decides the revision.")
    sessionTime = Instant(source="session_time", help_text="Its fraction of a second is cut off.")
    params = Params(required=False, allow_null=True)
    retryAttemptName = Name(
        source="retry_attempt_name",
        required=False,
        allow_null=True,
        help_text="Needed for every attempt of a session but the first.",
    )
    resume = ResumeRequest(required=False, allow_null=True)
    poolId = Id(source="pool_id", required=False, allow_null=True, help_text="The pool of its schedule when not set.")

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The arguments of `starting.start`. Raises ValidationError naming every wrong field, or ParseError."""
        wanted = valid(cls(data=body_of(request)))
        if resume := wanted.get("resume"):
            mode = ResumeMode(resume["mode"])
            wanted["resume"] = Resume(resume["attempt_id"], mode, resume.get("from", ""))
        return wanted


@extend_schema_serializer(component_name="Skip")
class SkipRequest(serializers.Serializer[Any]):
    """Where to: `nextTime`, or `count` sessions on from `fromTime`."""

    nextTime = LocalOrInstant(
        source="next_time",
        required=False,
        allow_null=True,
        help_text="The first session that runs at this time or later comes next. Without an offset, it is local to "
        "the time zone of the workflow.",
    )
    fromTime = Instant(source="from_time", required=False, allow_null=True)
    count = Count(required=False, allow_null=True, help_text=f"At most {MOST_SKIPPED}.")
    nextRunTime = Instant(
        source="next_run_time", required=False, allow_null=True, help_text="When the session that comes next runs."
    )
    dryRun = Flag(source="dry_run", required=False, allow_null=True, help_text="Answer the new times, store nothing.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = {name for name, value in attrs.items() if value is not None}
        if "next_time" in given and given & {"from_time", "count"}:
            raise ValidationError({"nextTime": ["Give either nextTime, or fromTime and count."]})
        if "next_time" not in given and "from_time" not in given:
            raise ValidationError({"nextTime": ["Give nextTime, or fromTime and count."]})
        if "from_time" in given and "count" not in given:
            raise ValidationError({"count": ["Give how many sessions to skip from fromTime on."]})
        if attrs.get("count") is not None and not 1 <= attrs["count"] <= MOST_SKIPPED:
            raise ValidationError({"count": [f"Give a count from 1 to {MOST_SKIPPED}."]})
        return attrs

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The arguments of `schedules.skip`. Raises ValidationError naming every wrong field, or ParseError."""
        given = valid(cls(data=body_of(request)))
        if given.get("next_time") is not None:
            target = Target(given["next_time"])
        else:
            target = Target(given["from_time"], given["count"], "from_time")
        return {
            "target": target,
            "next_run_time": given.get("next_run_time"),
            "dry_run": bool(given.get("dry_run")),
        }


@extend_schema_serializer(component_name="Enable")
class EnableRequest(serializers.Serializer[Any]):
    skipSchedule = Flag(
        source="skip_schedule",
        required=False,
        allow_null=True,
        help_text="Skip the sessions that came due meanwhile; they are run otherwise.",
    )
    nextTime = LocalOrInstant(
        source="next_time", required=False, allow_null=True, help_text="Skip to this time, and not to the present."
    )

    @classmethod
    def read(cls, request: Request) -> tuple[bool, Target | None]:
        """Whether to skip before, and where to, if that is said. Raises ValidationError, or ParseError."""
        given = valid(cls(data=body_of(request))) if request.body else {}
        at = given.get("next_time")
        return bool(given.get("skip_schedule")), Target(at) if at else None


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


def body_of(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise ParseError("The body is not a JSON object.")
    return request.data


def valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
