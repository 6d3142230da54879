"""DOOR: what an attempt's tasks wrote, a file per task, as clients of Digdag read it: gzip, and never decoded."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from scheduler import logs
from scheduler.api.entries import Entry, instant
from scheduler.api.permissions import READING
from scheduler.api.project_requests import LogQuery
from scheduler.api.project_shapes import LogFileList
from scheduler.api.schema import documented
from scheduler.api.views import attempts, one
from scheduler.models import Attempt

FILE = {(200, "application/gzip"): OpenApiResponse(OpenApiTypes.BINARY, "The text, gzipped.")}


@dataclass(frozen=True)
class LogFile:
    """The log of the task at `position`; its name is safe in an address."""

    position: int
    task: str
    size: int
    written_at: datetime

    @property
    def name(self) -> str:
        return f"{re.sub(r'[^A-Za-z0-9_.+^-]', '_', self.task)}@{self.position:x}.hindcast.log.gz"

    def entry(self) -> Entry:
        return {
            "fileName": self.name,
            "fileSize": self.size,
            "taskName": self.task,
            "fileTime": instant(self.written_at),
            "agentId": "hindcast",
            "direct": None,
        }


class LogViewSet(ViewSet):
    permission_classes = READING
    http_method_names = ["get", "head"]
    lookup_value_converter = "int"

    @documented("getLogFiles", LogFileList, refused=[404], parameters=[LogQuery])
    @action(detail=True, url_path="files")
    def files(self, request: Request, pk: int) -> Response:
        """Readable while the attempt runs; what is written later is added."""
        task = LogQuery.read(request).get("task", "")
        found = files_of(one(attempts(request), pk, "attempt"))
        return Response({"files": [file.entry() for file in found if file.task.startswith(task)]})

    @documented("getLogFile", FILE, refused=[404])
    @action(detail=True, url_path="files/<str:name>")
    def file(self, request: Request, pk: int, name: str) -> HttpResponse:
        attempt = one(attempts(request), pk, "attempt")
        for file in files_of(attempt):
            if file.name == name:
                return HttpResponse(logs.gzipped(attempt.pk, file.position), content_type="application/gzip")
        raise NotFound("This attempt has no such file.")


def files_of(attempt: Attempt) -> list[LogFile]:
    """In the order of the tasks; three queries at most."""
    texts = {text.position: text for text in logs.tasks_with_text(attempt.pk)}
    names = dict(attempt.tasks.filter(position__in=texts).values_list("position", "full_name"))
    return [
        LogFile(position, names[position], text.size, text.written_at)
        for position, text in texts.items()
        if position in names
    ]
