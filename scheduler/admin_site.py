"""The admin site: its names, and its index in the order of the work instead of the alphabet."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest

APPS = ("scheduler", "projects", "django_celery_beat", "auth")
MODELS = (
    *("Schedule", "Session", "Attempt", "Backfill", "Skip", "TaskRun", "LogChunk", "Pool"),
    *("Project", "Workflow", "Revision", "WorkflowDefinition", "ApiKey"),
)


class HindcastAdminSite(AdminSite):
    site_header = "Hindcast"
    site_title = "Hindcast admin"
    index_title = "Admin"
    enable_nav_sidebar = False  # the lists need the width

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda model: place(model["object_name"], MODELS))
        return sorted(apps, key=lambda app: place(app["app_label"], APPS))


class HindcastAdminConfig(AdminConfig):
    default = False
    default_site = "scheduler.admin_site.HindcastAdminSite"


def place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
