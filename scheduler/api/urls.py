"""The addresses of the API, without a slash at the end."""

from collections.abc import Mapping
from typing import Any

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from scheduler.api.backfills import BackfillViewSet
from scheduler.api.docs import DocsPage, SchemaDocument
from scheduler.api.logs import LogViewSet
from scheduler.api.projects import ProjectViewSet, WorkflowViewSet
from scheduler.api.version import VersionCheckView, VersionView
from scheduler.api.views import AttemptViewSet, NothingHere, ScheduleViewSet, SessionViewSet


class Router(SimpleRouter):
    """Makes with PUT at the address of the list, where Digdag has it: what a viewset names in `on_put`."""

    def get_method_map(self, viewset: Any, method_map: Mapping[str, str]) -> dict[str, str]:
        methods = dict(method_map)
        if methods.get("get") == "list" and hasattr(viewset, "on_put"):
            methods["put"] = viewset.on_put
        return super().get_method_map(viewset, methods)


router = Router(trailing_slash=False, use_regex_path=False)
router.register("projects", ProjectViewSet, basename="api-project")
router.register("workflows", WorkflowViewSet, basename="api-workflow")
router.register("schedules", ScheduleViewSet, basename="api-schedule")
router.register("sessions", SessionViewSet, basename="api-session")
router.register("attempts", AttemptViewSet, basename="api-attempt")
router.register("backfills", BackfillViewSet, basename="api-backfill")
router.register("logs", LogViewSet, basename="api-log")

urlpatterns = [
    *router.urls,
    # The client of Digdag asks with a slash here, and nowhere else.
    path("projects/<int:pk>/secrets/", ProjectViewSet.as_view({"get": "secrets"}, schema=None)),
    path("project", ProjectViewSet.as_view({"get": "named"}), name="api-project-named"),
    path("workflow", WorkflowViewSet.as_view({"get": "named"}), name="api-workflow-named"),
    path("version", VersionView.as_view(), name="api-version"),
    path("version/check", VersionCheckView.as_view(), name="api-version-check"),
    path("schema", SchemaDocument.as_view(), name="api-schema"),
    path("docs", DocsPage.as_view(), name="api-docs"),
    re_path("", NothingHere.as_view()),
]
