"""What was asked for and what limits it: backfills, skips, pools."""

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join

from projects.admin.columns import EMPTY, link_column, list_links, list_url, moment_column
from projects.admin.lists import HindcastAdmin, KeysetAdmin, linked, row_id
from projects.models import Workflow
from scheduler.admin import backfill_actions
from scheduler.admin.cells import schedule_of, slot_time, status_state
from scheduler.models import Attempt, Backfill, Pool, Schedule, Skip
from scheduler.retrying import failed_of


@admin.register(Backfill)
class BackfillAdmin(KeysetAdmin[Backfill]):
    path_to_project = "workflow__project"
    list_display = (
        "name",
        link_column("schedule", "Schedule"),
        link_column("workflow.project", "Project"),
        "first",
        "sessions",
        "created_by",
        moment_column("created_at", "Created"),
        "work",
    )
    list_select_related = ("workflow__project", "workflow__schedule", "schedule__workflow", "created_by")
    list_filter = (linked("schedule", Schedule), linked("workflow", Workflow))
    search_fields = ("name",)
    search_help_text = "An id, or how a name starts."
    actions = ("kill", "retry_failed")
    row_actions = actions
    sections = (
        (None, ("name", "schedule", "workflow", "first", "last", "count", "only", "sessions", "concurrency")),
        ("What became of it", ("progress", "work")),
        ("Who asked", ("created_by", moment_column("created_at", "Created"))),
    )

    def found(self, rows: QuerySet[Backfill], term: str) -> QuerySet[Backfill]:
        number = row_id(term)
        return rows.filter(pk=number) if number is not None else rows.filter(name__startswith=term)

    def view_on_site(self, obj: Backfill) -> str:
        return reverse("backfill", args=[obj.pk])

    # --- actions ---------------------------------------------------------------------------------------

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("scheduler.run_attempt")

    def has_backfill_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("scheduler.backfill_schedule")

    @admin.action(description="Kill…", permissions=["run"])
    def kill(self, request: HttpRequest, rows: QuerySet[Backfill]) -> HttpResponse | None:
        return backfill_actions.kill(self, request, rows, now=timezone.now())

    @admin.action(description="Retry what failed…", permissions=["backfill"])
    def retry_failed(self, request: HttpRequest, rows: QuerySet[Backfill]) -> HttpResponse | None:
        return backfill_actions.retry(self, request, rows)

    def buttons(self, request: HttpRequest, object_id: str) -> list[tuple[str, str]]:
        backfill = self.get_object(request, object_id)
        if backfill is None:
            return []
        live = Attempt.objects.live().filter(backfill=backfill).exists()
        failed = backfill.schedule_id is not None and failed_of(backfill.pk).exists()
        idle = "retry_failed" if live or not failed else "kill"
        offered = [button for button in super().buttons(request, object_id) if button[0] != idle]
        return offered if live or idle == "kill" else []

    # --- cells -----------------------------------------------------------------------------------------

    @admin.display(description="From")
    def first(self, backfill: Backfill) -> str:
        return slot_time(backfill.from_time, backfill.schedule or schedule_of(backfill.workflow))

    @admin.display(description="To")
    def last(self, backfill: Backfill) -> str:
        where = backfill.schedule or schedule_of(backfill.workflow)
        return slot_time(backfill.to_time, where) if backfill.to_time else EMPTY

    @admin.display(description="Progress")
    def progress(self, backfill: Backfill) -> str:
        counts = Attempt.objects.filter(backfill=backfill).order_by().values_list("status").annotate(Count("pk"))
        lines = ((status_state(status), count) for status, count in sorted(counts))
        return format_html_join("", '<span class="hindcast-count">{} {}</span> ', lines) or EMPTY

    @admin.display(description="Work")
    def work(self, backfill: Backfill) -> str:
        return list_links((list_url("scheduler_attempt", backfill=backfill.pk), "Attempts"))


@admin.register(Skip)
class SkipAdmin(KeysetAdmin[Skip]):
    path_to_project = "schedule__workflow__project"
    list_display = (
        "id",
        "time",
        link_column("schedule", "Schedule"),
        link_column("schedule.workflow.project", "Project"),
        "reason",
        moment_column("created_at", "Recorded"),
    )
    list_display_links = ("id", "time")
    list_select_related = ("schedule__workflow__project",)
    list_filter = ("reason", linked("schedule", Schedule))
    search_fields = ("id",)
    search_help_text = "The id of a skip."
    sections = ((None, ("schedule", "time", "reason", moment_column("created_at", "Recorded"))),)

    @admin.display(description="Session time")
    def time(self, skip: Skip) -> str:
        return slot_time(skip.session_time, skip.schedule)


@admin.register(Pool)
class PoolAdmin(HindcastAdmin[Pool]):
    list_display = ("name", "slots")
    search_fields = ("name",)
    search_help_text = "Part of a name."
    ordering = ("name",)
    actions = None
