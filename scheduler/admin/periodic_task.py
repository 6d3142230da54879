"""Celery's own periodic tasks, as django-celery-beat shows them, with a way over to workflows."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from scheduler.admin import track_action

TRACK = "Track with Hindcast…"

admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class TrackablePeriodicTaskAdmin(PeriodicTaskAdmin):  # type: ignore[misc] # django-celery-beat has no types
    actions = (*PeriodicTaskAdmin.actions, "track")
    list_display: tuple[str, ...] = ("name", "scheduler", "enabled", "task", "last_run_at")
    change_form_template = None  # the package's own has a script in the page, which this site lets no browser run

    class Media:
        css = {"all": ["hindcast/states.css", "hindcast/admin.css"]}

    def has_track_permission(self, request: HttpRequest) -> bool:
        may_change = request.user.has_perm("django_celery_beat.change_periodictask")
        return may_change and request.user.has_perm("projects.add_revision")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The package's own, which ask for no permission, are for those who may change the tasks."""
        actions: dict[str, Any] = super().get_actions(request)
        if self.has_change_permission(request):
            return actions
        return {name: action for name, action in actions.items() if name not in PeriodicTaskAdmin.actions}

    @admin.action(description=TRACK, permissions=["track"])
    def track(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        return track_action.respond(self, request, rows, now=timezone.now())

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the action as a button."""
        buttons = [("track", TRACK)] if self.has_track_permission(request) else []
        more = {"row_actions": buttons, "action_checkbox_name": ACTION_CHECKBOX_NAME, **(extra_context or {})}
        answer: HttpResponse = super().change_view(request, object_id, form_url, more)
        return answer
