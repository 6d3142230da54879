"""What comes in about projects and workflows: addresses' parameters, and the body of a secret."""

from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request

from scheduler.api.fields import Instant, LocalOrInstant, QueryChoice, QueryCount, QueryFlag, QueryName, Text
from scheduler.api.requests import ListQuery, body_of, valid
from scheduler.pushing import Start


class PushQuery(ListQuery):
    """`clear_schedule` may be given more than once; everything else once."""

    last_id = page_size = None  # type: ignore[assignment]  # there is nothing to page
    project = QueryName(help_text="Name of the project; it is made when there is none.")
    revision = QueryName(help_text="Name of the new revision.")
    schedule_from = Instant(required=False, help_text="From when on new schedules run; now when not set.")
    clear_schedule_all = QueryFlag(required=False, help_text="Every schedule starts as if it were new.")

    @classmethod
    def arguments(cls, request: Request) -> dict[str, Any]:
        """The arguments of `pushing.push`. Raises ValidationError."""
        given = cls.read(request)
        named = QueryDict(request.META.get("QUERY_STRING", ""), encoding="utf-8").getlist("clear_schedule")
        start = Start(given.get("schedule_from"), frozenset(named), given.get("clear_schedule_all", False))
        return {"project_name": given["project"], "revision_name": given["revision"], "start": start}


class CountQuery(ListQuery):
    """Digdag calls the size of a page `count` here; `page_size` means the same."""

    count = QueryCount(required=False, help_text="How many at most.")

    @classmethod
    def paged(cls, request: Request) -> dict[str, Any]:
        given = cls.read(request)
        return {"page_size": given["count"], **given} if "count" in given else given


class ProjectQuery(CountQuery):
    name = QueryName(required=False, help_text="The project of exactly this name.")
    name_pattern = QueryName(required=False, help_text="A part of the name.")


class WorkflowQuery(CountQuery):
    name_pattern = QueryName(required=False, help_text="A part of the workflow's name.")
    search_project_name = QueryFlag(required=False, help_text="Look for `name_pattern` in names of projects, too.")
    order = QueryChoice(choices=["asc", "desc"], required=False, help_text="By id; asc when not set.")


class ProjectWorkflowQuery(ListQuery):
    last_id = page_size = None  # type: ignore[assignment]  # all of a revision are shown
    name = QueryName(required=False, help_text="Name of a workflow.")
    workflow = QueryName(required=False, help_text="The same: some clients call it so.")
    revision = QueryName(required=False, help_text="Name of a revision; the newest when not set.")


class OneProjectQuery(ListQuery):
    last_id = page_size = None  # type: ignore[assignment]
    name = QueryName(help_text="Name of the project.")


class RevisionListQuery(ListQuery):
    name = QueryName(required=False, help_text="The revision of exactly this name.")


class RevisionQuery(ListQuery):
    last_id = page_size = None  # type: ignore[assignment]
    revision = QueryName(required=False, help_text="Name of a revision; the newest when not set.")


class NamedWorkflowQuery(ListQuery):
    """A list of one project, narrowed to one workflow."""

    workflow = QueryName(required=False, help_text="Name of a workflow.")


class NameInProjectQuery(ListQuery):
    last_id = page_size = None  # type: ignore[assignment]
    name = QueryName(help_text="Name of the workflow.")
    revision = QueryName(required=False, help_text="Name of a revision; the newest when not set.")


class LogQuery(ListQuery):
    last_id = page_size = None  # type: ignore[assignment]  # all of an attempt are shown
    task = QueryName(required=False, help_text="What the names of the tasks begin with.")


class OneWorkflowQuery(ListQuery):
    last_id = page_size = None  # type: ignore[assignment]
    project = QueryName(help_text="Name of the project.")
    name = QueryName(help_text="Name of the workflow.")
    revision = QueryName(required=False, help_text="Name of a revision; the newest when not set.")


class TruncationQuery(ListQuery):
    last_id = page_size = None  # type: ignore[assignment]
    session_time = LocalOrInstant(help_text="A time; without an offset it is local to the workflow's zone.")
    mode = QueryChoice(
        choices=["hour", "day", "schedule", "next_schedule"],
        required=False,
        help_text="Cut to the hour or the day, or to the session of the schedule at or before, or after, the time; "
        "the time itself when not set.",
    )


class SecretRequest(serializers.Serializer[Any]):
    value = Text(help_text="At most 16 KiB.")

    @classmethod
    def read(cls, request: Request) -> str:
        return str(valid(cls(data=body_of(request)))["value"])
