"""Shapes of the answers about projects, workflows and logs, for the OpenAPI document."""
# ruff: noqa: N815 - the names are the wire's

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from scheduler.api.shapes import Id, Instant, InvalidRequest, LocalTime, Params, ProjectName, Schedule, Session, Shape


@extend_schema_serializer(component_name="Project")
class ProjectShape(Shape):
    """A project as its newest revision has it."""

    id = Id()
    name = serializers.CharField()
    revision = serializers.CharField()
    createdAt = Instant()
    updatedAt = Instant(help_text="When the revision was made.")
    deletedAt = Instant(allow_null=True)
    archiveType = serializers.CharField(help_text="`none` for a revision without files.")
    archiveMd5 = serializers.CharField(allow_null=True, help_text="MD5 of the upload, in base64.")


@extend_schema_serializer(many=False)
class ProjectList(Shape):
    """One page of projects."""

    projects = ProjectShape(many=True)


@extend_schema_serializer(component_name="Revision")
class RevisionShape(Shape):
    """One state of a project."""

    revision = serializers.CharField()
    createdAt = Instant()
    archiveType = serializers.CharField()
    archiveMd5 = serializers.CharField(allow_null=True)
    userInfo = Params(help_text="Who pushed it.")


@extend_schema_serializer(many=False)
class RevisionList(Shape):
    """Revisions of a project, the newest first."""

    revisions = RevisionShape(many=True)


@extend_schema_serializer(component_name="Workflow")
class WorkflowShape(Shape):
    """A workflow as one revision has it."""

    id = Id(help_text="Of the definition.")
    name = serializers.CharField()
    project = ProjectName()
    revision = serializers.CharField()
    timezone = serializers.CharField()
    config = Params()


@extend_schema_serializer(many=False)
class WorkflowList(Shape):
    """One page of workflows."""

    workflows = WorkflowShape(many=True)


@extend_schema_serializer(many=False)
class ProjectScheduleList(Shape):
    """One page of a project's schedules."""

    schedules = Schedule(many=True)


@extend_schema_serializer(many=False)
class ProjectSessionList(Shape):
    """One page of a project's sessions."""

    sessions = Session(many=True)


class TruncatedTime(Shape):
    """A session time of the workflow."""

    project = ProjectName()
    revision = serializers.CharField()
    sessionTime = LocalTime()
    timezone = serializers.CharField()


class SecretKey(Shape):
    key = serializers.CharField()


@extend_schema_serializer(many=False)
class SecretList(Shape):
    """Keys; values are never told."""

    secrets = SecretKey(many=True)


class ChangedSecret(Shape):
    """Done. The value is not told."""

    key = serializers.CharField()
    project = ProjectName()


@extend_schema_serializer(component_name="LogFile")
class LogFileShape(Shape):
    """What one task wrote."""

    fileName = serializers.CharField()
    fileSize = serializers.IntegerField(help_text="Bytes of the text, unpacked.")
    taskName = serializers.CharField()
    fileTime = Instant(help_text="When the first of it was written.")
    agentId = serializers.CharField()
    direct = Params(allow_null=True)


@extend_schema_serializer(many=False)
class LogFileList(Shape):
    """Files of an attempt, in the order of its tasks."""

    files = LogFileShape(many=True)


class Version(Shape):
    """Of this server."""

    version = serializers.CharField()


class VersionCheck(Shape):
    """Whether a client of Digdag can go on."""

    serverVersion = serializers.CharField()
    upgradeRecommended = serializers.BooleanField()
    apiCompatible = serializers.BooleanField()


class Mistake(Shape):
    """One mistake in the files."""

    file = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()


class BadPush(InvalidRequest):
    """What is wrong with the request, or with the files."""

    problems = Mistake(many=True, required=False)
