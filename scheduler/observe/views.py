"""DOOR: `/metrics`, for Prometheus."""

from django.conf import settings
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from projects.models import Scope
from scheduler.api.authentication import key_of
from scheduler.clock import database_now
from scheduler.observe.metrics import Figures


class MayScrape(BasePermission):
    """The figures are those of all projects: a key of one project does not see them."""

    message = "This needs an API key with the scope `read` that is not bound to a project, or a signed-in staff user."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if settings.HINDCAST_OPEN_METRICS:
            return True
        key = key_of(request)
        if key is not None:
            return key.project_id is None and key.allows(Scope.READ)
        return bool(request.user and request.user.is_staff)


class Metrics(APIView):
    permission_classes = (MayScrape,)
    http_method_names = ["get", "head"]
    schema = None

    def get(self, request: Request) -> HttpResponse:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Figures(now=database_now()))
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
