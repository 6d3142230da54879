"""The addresses of the API, without a slash at the end."""

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from scheduler.api.docs import DocsPage, SchemaDocument
from scheduler.api.views import AttemptViewSet, NothingHere, ScheduleViewSet, SessionViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("schedules", ScheduleViewSet, basename="api-schedule")
router.register("sessions", SessionViewSet, basename="api-session")
router.register("attempts", AttemptViewSet, basename="api-attempt")

urlpatterns = [
    *router.urls,
    path("schema", SchemaDocument.as_view(), name="api-schema"),
    path("docs", DocsPage.as_view(), name="api-docs"),
    re_path("", NothingHere.as_view()),
]
