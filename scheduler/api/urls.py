"""The addresses of the API, without a slash at the end."""

from django.urls import path, re_path
from rest_framework.routers import Route, SimpleRouter

from scheduler.api.docs import DocsPage, SchemaDocument
from scheduler.api.views import AttemptViewSet, NothingHere, ScheduleViewSet, SessionViewSet


class Router(SimpleRouter):
    """Starts with PUT at the address of the list, where Digdag has it."""

    routes = [
        route._replace(mapping={**route.mapping, "put": "start"})
        if isinstance(route, Route) and route.name == "{basename}-list"
        else route
        for route in SimpleRouter.routes
    ]


router = Router(trailing_slash=False, use_regex_path=False)
router.register("schedules", ScheduleViewSet, basename="api-schedule")
router.register("sessions", SessionViewSet, basename="api-session")
router.register("attempts", AttemptViewSet, basename="api-attempt")

urlpatterns = [
    *router.urls,
    path("schema", SchemaDocument.as_view(), name="api-schema"),
    path("docs", DocsPage.as_view(), name="api-docs"),
    re_path("", NothingHere.as_view()),
]
