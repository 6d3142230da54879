"""Shapes of the answers, for the OpenAPI document. `entries` builds what they describe; a test holds them together."""
# ruff: noqa: N815 - the names are the wire's

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from scheduler.models import AttemptStatus, TaskState

Shape = serializers.Serializer[Any]
ID = r"^[0-9]+$"


@extend_schema_field({"type": "string", "pattern": ID, "example": "123456"})
class Id(serializers.CharField):
    """Ids are text on the wire."""


@extend_schema_field({"type": "string", "format": "date-time", "example": "2023-08-18T06:52:33Z"})
class Instant(serializers.DateTimeField):
    """UTC, whole seconds, with a Z."""


@extend_schema_field({"type": "string", "format": "date-time", "example": "2022-12-31T23:59:00+00:00"})
class LocalTime(serializers.DateTimeField):
    """With the offset of the workflow's zone."""


@extend_schema_field({"type": "object", "additionalProperties": {}})
class Params(serializers.DictField):
    """Any object."""


class ProjectName(Shape):
    id = Id()
    name = serializers.CharField()


class WorkflowName(Shape):
    id = Id(required=False, help_text="Of the definition that was, or will be, run.")
    name = serializers.CharField()


class Schedule(Shape):
    """A workflow's timetable at work."""

    id = Id()
    project = ProjectName()
    workflow = WorkflowName()
    nextRunTime = Instant()
    nextScheduleTime = LocalTime(help_text="The next session time; 9999-01-01T00:00:00+00:00 when there is none.")
    disabledAt = Instant(allow_null=True)


class ScheduleSummary(Schedule):
    """A schedule after it was changed."""

    createdAt = Instant()
    updatedAt = Instant()


@extend_schema_serializer(many=False)
class ScheduleList(Shape):
    """One page of schedules."""

    schedules = Schedule(many=True)


class Run(Shape):
    """An attempt without what it belongs to."""

    id = Id()
    index = serializers.IntegerField(min_value=0, help_text="1 for the first attempt of the session.")
    retryAttemptName = serializers.CharField(required=False)
    params = Params()
    status = serializers.ChoiceField(choices=AttemptStatus.choices)
    done = serializers.BooleanField()
    success = serializers.BooleanField()
    cancelRequested = serializers.BooleanField()
    createdAt = Instant()
    finishedAt = Instant(required=False)
    poolId = Id(required=False)


class Attempt(Run):
    """One run of a session."""

    project = ProjectName()
    workflow = WorkflowName()
    sessionId = Id()
    sessionUuid = serializers.UUIDField()
    sessionTime = LocalTime()


@extend_schema_serializer(many=False)
class AttemptList(Shape):
    """One page of attempts."""

    attempts = Attempt(many=True)


class BackfillAnswer(Shape):
    """What was started; in a dry run, what would be."""

    id = Id(help_text="Of the schedule.")
    project = ProjectName()
    workflow = WorkflowName()
    backfillId = Id(allow_null=True, help_text="For `getBackfill`; null when nothing was started.")
    attempts = Attempt(many=True, help_text="In the order of their session times.")


class Session(Shape):
    """One scheduled time of a workflow."""

    id = Id()
    project = ProjectName()
    workflow = WorkflowName()
    sessionUuid = serializers.UUIDField()
    sessionTime = LocalTime()
    lastAttempt = Run(allow_null=True)


@extend_schema_serializer(many=False)
class SessionList(Shape):
    """One page of sessions."""

    sessions = Session(many=True)


class Task(Shape):
    """One step of an attempt."""

    id = Id()
    fullName = serializers.CharField()
    parentId = Id(allow_null=True)
    config = Params()
    upstreams = serializers.ListField(child=Id())
    state = serializers.ChoiceField(choices=TaskState.choices)
    cancelRequested = serializers.BooleanField()
    exportParams = Params()
    storeParams = Params()
    stateParams = Params()
    updatedAt = Instant()
    retryAt = Instant(allow_null=True)
    startedAt = Instant(allow_null=True)
    error = Params()
    isGroup = serializers.BooleanField()


@extend_schema_serializer(many=False)
class TaskList(Shape):
    """All tasks of an attempt, in order."""

    tasks = Task(many=True)


class Refusal(Shape):
    """Why not."""

    message = serializers.CharField()
    status = serializers.IntegerField()


class InvalidRequest(Refusal):
    """What is wrong with the request."""

    errors = serializers.DictField(  # type: ignore[assignment]  # a field here, a property of instances there
        child=serializers.ListField(child=serializers.CharField()), help_text="What is wrong, by the name of the field."
    )


class ConflictEntry(Shape):
    """One session in the way."""

    sessionTime = LocalTime()
    attemptId = Id()
    retryAttemptName = serializers.CharField(allow_null=True)
    attemptStatus = serializers.ChoiceField(choices=AttemptStatus.choices)
    reason = serializers.CharField()


class Conflict(Refusal):
    """What stands in the way."""

    conflicts = ConflictEntry(many=True, help_text="Every session in the way, in the order of their times.")
