"""DOOR: the version of the server, which Digdag tells anybody."""

from importlib.metadata import version

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from scheduler.api.project_shapes import Version, VersionCheck

CLIENT = OpenApiParameter("client", str, description="The version of the client.")


class VersionView(APIView):
    authentication_classes = []
    permission_classes = []

    @extend_schema(operation_id="getVersion", responses=Version, auth=[])
    def get(self, request: Request) -> Response:
        """Needs no key."""
        return Response({"version": version("hindcast")})


class VersionCheckView(APIView):
    authentication_classes = []
    permission_classes = []

    @extend_schema(operation_id="checkClientVersion", responses=VersionCheck, parameters=[CLIENT], auth=[])
    def get(self, request: Request) -> Response:
        """The command of Digdag asks before anything else, and stops unless it may go on. It always may."""
        answer = {"serverVersion": version("hindcast"), "upgradeRecommended": False, "apiCompatible": True}
        return Response(answer)
