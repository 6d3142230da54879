"""The admin site: its names, and its index in the order of the work instead of the alphabet."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.http import HttpRequest

APPS = ("scheduler", "projects", "django_celery_beat", "auth")
MODELS = (
    *("Schedule", "Session", "Attempt", "Backfill", "Skip", "TaskRun", "LogChunk", "LogFile", "Pool"),
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


class HindcastAdminConfig(SimpleAdminConfig):
    """Our site, filled by the URLconf and before checks: workers and the beat, which show no page, start without it."""

    default = False
    default_site = "scheduler.admin_site.HindcastAdminSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_all_of_the_admin, checks.Tags.admin)


def check_all_of_the_admin(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[checks.CheckMessage]:
    """What Django checks of the admin, with every model's page there, whatever was imported before."""
    admin.autodiscover()
    return check_admin_app(app_configs, **options)


def place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
