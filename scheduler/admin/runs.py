"""What ran: sessions, attempts, tasks, logs. Large tables, only looked at."""

import uuid

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from projects.admin.columns import (
    document_column,
    link_column,
    list_links,
    list_url,
    moment_column,
    row_link,
    shortened,
)
from projects.admin.lists import KeysetAdmin, linked, row_id
from projects.models import Project, Workflow
from scheduler import logs
from scheduler.admin import attempt_actions
from scheduler.admin.cells import attempt_state, schedule_of, slot_time, task_state
from scheduler.models import Attempt, AttemptStatus, Backfill, LogChunk, LogFile, Session, TaskRun

SOME = 50  # how many workflows or backfills one search text may stand for
EXCERPT = 160  # letters of a log piece that the list shows
SHOWN = 50_000  # letters of a log file that its page shows


def as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


@admin.register(Session)
class SessionAdmin(KeysetAdmin[Session]):
    path_to_project = "workflow__project"
    list_display = (
        "id",
        "time",
        link_column("workflow", "Workflow"),
        link_column("workflow.project", "Project"),
        "latest",
        "work",
    )
    list_display_links = ("id", "time")
    list_select_related = ("workflow__project", "workflow__schedule")
    list_filter = (linked("workflow", Workflow), linked("project", Project, "workflow__project"))
    search_fields = ("workflow__name",)
    search_help_text = "A session's id or UUID, or the exact name of a workflow."
    sections = ((None, ("workflow", "schedule", "time", "uuid", moment_column("created_at", "Created"), "work")),)

    def for_list(self, rows: QuerySet[Session]) -> QuerySet[Session]:
        return rows.with_latest_attempt()  # type: ignore[attr-defined, no-any-return]

    def found(self, rows: QuerySet[Session], term: str) -> QuerySet[Session]:
        if (number := row_id(term)) is not None:
            return rows.filter(pk=number)
        if (identity := as_uuid(term)) is not None:
            return rows.filter(uuid=identity)
        named = Workflow.objects.filter(name=term).values_list("pk", flat=True)[:SOME]
        return rows.filter(workflow__in=list(named))

    def view_on_site(self, obj: Session) -> str:
        return reverse("session", args=[obj.pk])

    @admin.display(description="Session time")
    def time(self, session: Session) -> str:
        return slot_time(session.session_time, schedule_of(session.workflow))

    @admin.display(description="Schedule")
    def schedule(self, session: Session) -> str:
        return row_link(schedule_of(session.workflow))

    @admin.display(description="Latest attempt")
    def latest(self, session: Session) -> str:
        attempt = session.latest_attempt
        return format_html("{} {}", attempt_state(attempt), row_link(attempt, attempt.pk)) if attempt else "none"

    @admin.display(description="Work")
    def work(self, session: Session) -> str:
        return list_links((list_url("scheduler_attempt", session=session.pk), "Attempts"))


@admin.register(Attempt)
class AttemptAdmin(KeysetAdmin[Attempt]):
    path_to_project = "workflow__project"
    list_display = (
        "id",
        "drawn",
        "session_link",
        "of",
        "named",
        moment_column("finished_at", "Finished"),
        "work",
    )
    list_select_related = ("session__workflow__project", "session__workflow__schedule", "backfill")
    list_filter = (
        "status",  # not the lane: no index, and a rare one would be looked for in the whole table
        linked("session", Session),
        linked("workflow", Workflow),
        linked("backfill", Backfill),
    )
    search_fields = ("backfill__name",)
    search_help_text = "The id of an attempt or its session, a session's UUID, or how the name of a backfill starts."
    actions = ("kill", "retry_failed")
    row_actions = actions
    sections = (
        (None, ("drawn", "session_link", "workflow", "schedule", "definition", "index", "name", "is_latest")),
        (
            "What it does",
            (
                *("work", "lane", "pool", "backfill"),
                document_column("params", "Params"),
                document_column("reason", "Reason"),
            ),
        ),
        (
            "When",
            (
                moment_column("last_executed_session_time", "Last executed session"),
                moment_column("created_at", "Created"),
                moment_column("released_at", "Released"),
                moment_column("started_at", "Started"),
                moment_column("finished_at", "Finished"),
                moment_column("cancel_requested_at", "Cancel requested"),
            ),
        ),
        ("Who runs it", ("worker", "lease_token", moment_column("lease_expires_at", "Lease until"), "deliveries")),
    )

    def for_list(self, rows: QuerySet[Attempt]) -> QuerySet[Attempt]:
        return rows.defer("params", "reason")

    def found(self, rows: QuerySet[Attempt], term: str) -> QuerySet[Attempt]:
        if (number := row_id(term)) is not None:
            return rows.filter(pk__in=[number]) | rows.filter(session=number)
        if (identity := as_uuid(term)) is not None:
            return rows.filter(session__in=list(Session.objects.filter(uuid=identity).values_list("pk", flat=True)))
        named = Backfill.objects.filter(name__startswith=term).order_by("-pk").values_list("pk", flat=True)[:SOME]
        return rows.filter(backfill__in=list(named))

    # --- actions ---------------------------------------------------------------------------------------

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("scheduler.run_attempt")

    @admin.action(description="Kill…", permissions=["run"])
    def kill(self, request: HttpRequest, rows: QuerySet[Attempt]) -> HttpResponse | None:
        return attempt_actions.kill(self, request, rows, now=timezone.now())

    @admin.action(description="Retry failed attempts…", permissions=["run"])
    def retry_failed(self, request: HttpRequest, rows: QuerySet[Attempt]) -> HttpResponse | None:
        return attempt_actions.retry_failed(self, request, rows, now=timezone.now())

    def buttons(self, request: HttpRequest, object_id: str) -> list[tuple[str, str]]:
        attempt = self.get_object(request, object_id)
        if attempt is None or attempt.success or attempt.status == AttemptStatus.CANCELING:
            return []
        idle = "kill" if attempt.done else "retry_failed"
        return [button for button in super().buttons(request, object_id) if button[0] != idle]

    # --- cells -----------------------------------------------------------------------------------------

    def view_on_site(self, obj: Attempt) -> str:
        return reverse("attempt", args=[obj.pk])

    @admin.display(description="State")
    def drawn(self, attempt: Attempt) -> str:
        return attempt_state(attempt)

    @admin.display(description="Session")
    def session_link(self, attempt: Attempt) -> str:
        session = attempt.session
        return row_link(session, slot_time(session.session_time, schedule_of(session.workflow)))

    @admin.display(description="Workflow and project")
    def of(self, attempt: Attempt) -> str:
        workflow = attempt.session.workflow
        return format_html("{}<br>{}", row_link(workflow), row_link(workflow.project))

    @admin.display(description="Workflow")
    def workflow(self, attempt: Attempt) -> str:
        return row_link(attempt.session.workflow)

    @admin.display(description="Schedule")
    def schedule(self, attempt: Attempt) -> str:
        return row_link(schedule_of(attempt.session.workflow))

    @admin.display(description="Attempt")
    def named(self, attempt: Attempt) -> str:
        name = row_link(attempt.backfill) if attempt.backfill else shortened(attempt.name)
        return format_html("{} {}", attempt.index, name)

    @admin.display(description="Work")
    def work(self, attempt: Attempt) -> str:
        return list_links(
            (list_url("scheduler_taskrun", attempt=attempt.pk), "Tasks"),
            (list_url("scheduler_logchunk", attempt=attempt.pk), "Log"),  # until it was moved
            (list_url("scheduler_logfile", attempt=attempt.pk), "Log files"),
        )


@admin.register(TaskRun)
class TaskRunAdmin(KeysetAdmin[TaskRun]):
    path_to_project = "attempt__workflow__project"
    list_display = (
        "id",
        "full_name",
        "drawn",
        link_column("attempt", "Attempt"),
        moment_column("started_at", "Started"),
        moment_column("updated_at", "Updated"),
    )
    list_display_links = ("id", "full_name")
    list_select_related = ("attempt",)
    list_filter = (linked("attempt", Attempt),)
    oldest_first_with = "attempt"
    search_fields = ("id",)
    search_help_text = "The id of a task."
    sections = (
        (None, ("attempt", "full_name", "position", "parent", "is_group", "drawn")),
        ("When", (moment_column("started_at", "Started"), moment_column("updated_at", "Updated"))),
        (
            "Data",
            (
                document_column("upstreams", "Upstreams"),
                document_column("config", "Config"),
                document_column("error", "Error"),
                document_column("export_params", "Export params"),
                document_column("store_params", "Store params"),
            ),
        ),
    )

    def for_list(self, rows: QuerySet[TaskRun]) -> QuerySet[TaskRun]:
        return rows.defer("upstreams", "config", "error", "export_params", "store_params")

    @admin.display(description="State")
    def drawn(self, task: TaskRun) -> str:
        return task_state(task)


@admin.register(LogChunk)
class LogChunkAdmin(KeysetAdmin[LogChunk]):
    path_to_project = "attempt__workflow__project"
    list_display = (
        "id",
        link_column("attempt", "Attempt"),
        "position",
        "excerpt",
        moment_column("written_at", "Written"),
    )
    list_select_related = ("attempt",)
    list_filter = (linked("attempt", Attempt),)
    oldest_first_with = "attempt"
    search_fields = ("id",)
    search_help_text = "The id of a log piece."
    sections = ((None, ("attempt", "position", moment_column("written_at", "Written"), "written")),)

    def for_list(self, rows: QuerySet[LogChunk]) -> QuerySet[LogChunk]:
        return rows.defer("text").annotate(start=Substr("text", 1, EXCERPT))

    @admin.display(description="Text")
    def excerpt(self, piece: LogChunk) -> str:
        return format_html('<code class="hindcast-excerpt">{}</code>', piece.start)  # type: ignore[attr-defined]

    @admin.display(description="Text")
    def written(self, piece: LogChunk) -> str:
        return format_html('<pre class="hindcast-document">{}</pre>', piece.text)


@admin.register(LogFile)
class LogFileAdmin(KeysetAdmin[LogFile]):
    path_to_project = "attempt__workflow__project"
    list_display = (
        "id",
        link_column("attempt", "Attempt"),
        "position",
        "length",
        "lines",
        moment_column("written_at", "Written"),
    )
    list_select_related = ("attempt",)
    list_filter = (linked("attempt", Attempt),)
    oldest_first_with = "attempt"
    search_fields = ("id",)
    search_help_text = "The id of a log file."
    sections = (
        (None, ("attempt", "position", "name", "length", "lines", moment_column("written_at", "Written"), "written")),
    )

    @admin.display(description="Size")
    def length(self, file: LogFile) -> str:
        return filesizeformat(file.size)

    @admin.display(description="Text")
    def written(self, file: LogFile) -> str:
        """The end of it, as what went wrong stands there."""
        try:
            text = logs.kept_text(file)
        except logs.LogUnavailable as error:
            return error.message
        shown = format_html('<pre class="hindcast-document">{}</pre>', text[-SHOWN:])
        if len(text) <= SHOWN:
            return shown
        whole = reverse("attempt_log_raw", args=[file.attempt_id])
        return format_html(
            '<p>The last {} characters. <a href="{}">The whole log of the attempt</a></p>{}', f"{SHOWN:,}", whole, shown
        )
