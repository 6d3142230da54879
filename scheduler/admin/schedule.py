"""Schedules: looked at, enabled, disabled, and backfilled; their timetables come with the revisions."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from projects.admin.columns import link_column, list_links, list_url, moment_column, shortened
from projects.admin.lists import ReadOnlyAdmin, linked
from projects.admin.selection import at_most
from projects.models import Project, Workflow
from scheduler import schedules
from scheduler.admin import backfill_action, enable_action, pool_action, skip_action
from scheduler.admin.cells import slot_time, timetable_text
from scheduler.models import Pool, Schedule


class EnabledFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("enabled", "Enabled"), ("disabled", "Disabled"), ("failing", "Failing")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        match self.value():
            case "enabled":
                return queryset.filter(disabled_at=None)
            case "disabled":
                return queryset.filter(disabled_at__isnull=False)
            case "failing":
                return queryset.filter(failures__gt=0)
        return queryset


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin[Schedule]):
    path_to_project = "workflow__project"
    list_display = (
        "name",
        link_column("workflow.project", "Project"),
        "timetable",
        "next_session",
        "next_run",
        "state",
        "work",
    )
    list_select_related = ("workflow__project",)
    list_filter = (EnabledFilter, "kind", linked("project", Project, "workflow__project"), linked("workflow", Workflow))
    search_fields = ("workflow__name", "workflow__project__name", "=id")
    search_help_text = "Part of the name of a workflow or its project, or an id."
    ordering = ("workflow__project__name", "workflow__name")
    actions = ("backfill", "skip", "pool", "enable", "disable")
    row_actions = actions
    sections = (
        (None, ("workflow", link_column("workflow.project", "Project"), "state", "work")),
        (
            "Timetable",
            (
                *("timetable", "kind", "expression", "timezone", "delay", "start_date", "end_date"),
                *("catch_up", "overlap", "skip_delayed_by", link_column("pool", "Pool"), "definition"),
            ),
        ),
        ("Cursor", ("next_session", "next_run", "last_session", "version")),
        ("Trouble", ("error", "failures", moment_column("retry_at", "Next try"))),
    )

    def view_on_site(self, obj: Schedule) -> str:
        return reverse("schedule", args=[obj.pk])

    # --- actions ---------------------------------------------------------------------------------------

    def has_backfill_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("scheduler.backfill_schedule")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Not `has_change_permission`: nobody edits the fields."""
        return request.user.has_perm("scheduler.change_schedule")

    @admin.action(description="Backfill…", permissions=["backfill"])
    def backfill(self, request: HttpRequest, rows: QuerySet[Schedule]) -> HttpResponse | None:
        return backfill_action.respond(self, request, rows, now=timezone.now())

    @admin.action(description="Skip to…", permissions=["operate"])
    def skip(self, request: HttpRequest, rows: QuerySet[Schedule]) -> HttpResponse | None:
        return skip_action.respond(self, request, rows, now=timezone.now())

    @admin.action(description="Pool…", permissions=["operate"])
    def pool(self, request: HttpRequest, rows: QuerySet[Schedule]) -> HttpResponse | None:
        return pool_action.respond(self, request, rows, now=timezone.now())

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, rows: QuerySet[Schedule]) -> HttpResponse | None:
        return enable_action.respond(self, request, rows, now=timezone.now())

    @admin.action(description="Disable", permissions=["operate"])
    def disable(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        now = timezone.now()
        selected = at_most(enable_action.MOST, self, request, rows.select_related("workflow").order_by("pk"))
        if selected is None:
            return
        changed = [schedule for schedule in selected if schedules.disable(schedule.pk, now=now)]
        for schedule in changed:
            self.log_change(request, schedule, "Disabled")
        text = f"{len(changed)} of {len(selected)} schedules disabled."
        rest = len(selected) - len(changed)
        if rest:
            text += f" {rest} {'was' if rest == 1 else 'were'} disabled before."
        self.message_user(request, text, messages.SUCCESS if changed else messages.WARNING)

    def buttons(self, request: HttpRequest, object_id: str) -> list[tuple[str, str]]:
        schedule = self.get_object(request, object_id)
        if schedule is None:
            return []
        idle = {"enable" if schedule.disabled_at is None else "disable"}
        if schedule.next_session_time is None:
            idle.add("skip")
        if not Pool.objects.exists():
            idle.add("pool")
        return [button for button in super().buttons(request, object_id) if button[0] not in idle]

    # --- cells -----------------------------------------------------------------------------------------

    @admin.display(description="Schedule", ordering="workflow__name")
    def name(self, schedule: Schedule) -> str:
        return shortened(schedule.workflow.name)

    @admin.display(description="Timetable", ordering="kind")
    def timetable(self, schedule: Schedule) -> str:
        return timetable_text(schedule)

    @admin.display(description="Next session", ordering="next_session_time")
    def next_session(self, schedule: Schedule) -> str:
        return slot_time(schedule.next_session_time, schedule)

    @admin.display(description="Next run", ordering="next_run_time")
    def next_run(self, schedule: Schedule) -> str:
        return slot_time(schedule.next_run_time, schedule)

    @admin.display(description="Last session")
    def last_session(self, schedule: Schedule) -> str:
        return slot_time(schedule.last_session_time, schedule)

    @admin.display(description="State", ordering="disabled_at")
    def state(self, schedule: Schedule) -> str:
        if schedule.disabled_at is not None:
            return "disabled"
        return f"failing ({schedule.failures} in a row)" if schedule.failures else "enabled"

    @admin.display(description="Work")
    def work(self, schedule: Schedule) -> str:
        return list_links(
            (list_url("scheduler_session", workflow=schedule.workflow_id), "Sessions"),
            (list_url("scheduler_attempt", workflow=schedule.workflow_id), "Attempts"),
            (list_url("scheduler_backfill", schedule=schedule.pk), "Backfills"),
            (list_url("scheduler_skip", schedule=schedule.pk), "Skips"),
        )
