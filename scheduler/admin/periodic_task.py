"""Celery's own periodic tasks, as django-celery-beat shows them, with a way over to workflows."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from scheduler.admin import track_action

admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class TrackablePeriodicTaskAdmin(PeriodicTaskAdmin):  # type: ignore[misc] # django-celery-beat has no types
    actions = (*PeriodicTaskAdmin.actions, "track")
    list_display: tuple[str, ...] = ("name", "task", "enabled", "scheduler", "last_run_at")

    class Media:
        css = {"all": ["hindcast/states.css", "hindcast/admin.css"]}

    def has_track_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_celery_beat.change_periodictask") and request.user.has_perm(
            "projects.add_revision"
        )

    @admin.action(description="Track with Hindcast…", permissions=["track"])
    def track(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        return track_action.respond(self, request, rows, now=timezone.now())
