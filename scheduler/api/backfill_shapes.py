"""Shapes of the answers about backfills, for the OpenAPI document."""
# ruff: noqa: N815 - the names are the wire's

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from scheduler.api.shapes import ConflictEntry, Id, Instant, ProjectName, Refusal, Shape, WorkflowName
from scheduler.models.backfill import Only


class AttemptCounts(Shape):
    """How many there are by state."""

    queued = serializers.IntegerField(min_value=0)
    running = serializers.IntegerField(min_value=0)
    canceling = serializers.IntegerField(min_value=0)
    success = serializers.IntegerField(min_value=0)
    error = serializers.IntegerField(min_value=0)
    killed = serializers.IntegerField(min_value=0)


@extend_schema_serializer(component_name="Backfill")
class BackfillShape(Shape):
    """A request to run past sessions, and how far it is."""

    id = Id()
    name = serializers.CharField(help_text="Of all of its attempts.")
    project = ProjectName()
    workflow = WorkflowName()
    scheduleId = Id(allow_null=True, help_text="null when the schedule is not there any more.")
    fromTime = Instant()
    toTime = Instant(allow_null=True, help_text="As asked for; null: up to the schedule's next session.")
    count = serializers.IntegerField(allow_null=True, min_value=1, help_text="As asked for; null: all there were.")
    only = serializers.ChoiceField(choices=Only.values)
    sessions = serializers.IntegerField(min_value=0, help_text="How many it runs.")
    concurrency = serializers.IntegerField(min_value=1, help_text="How many of its attempts run at once.")
    poolId = Id(allow_null=True)
    createdAt = Instant()
    createdBy = serializers.CharField(allow_null=True, help_text="Name of the user; null when none is known.")
    attempts = AttemptCounts(help_text="Its own: what was run again under another name is not among them.")
    done = serializers.BooleanField(help_text="None of its attempts is queued, running or canceling.")


@extend_schema_serializer(many=False)
class BackfillList(Shape):
    """One page of backfills."""

    backfills = BackfillShape(many=True)


class RetryConflict(Refusal):
    """What stands in the way."""

    conflicts = ConflictEntry(
        many=True, required=False, help_text="Every session in the way; left out when the schedule is gone."
    )
