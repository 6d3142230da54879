"""DOOR: what an attempt's tasks wrote, a file per task, as clients of Digdag read it: gzip, and never decoded."""

import gzip
import re
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum
from django.db.models.functions import Length
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from scheduler.api.entries import Entry, instant
from scheduler.api.permissions import READING
from scheduler.api.project_shapes import LogFileList
from scheduler.api.schema import documented
from scheduler.api.views import attempts, one
from scheduler.models import Attempt, LogChunk

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

    @documented("getLogFiles", LogFileList, refused=[404])
    @action(detail=True, url_path="files")
    def files(self, request: Request, pk: int) -> Response:
        """Readable while the attempt runs; what is written later is added."""
        return Response({"files": [file.entry() for file in files_of(one(attempts(request), pk, "attempt"))]})

    @documented("getLogFile", FILE, refused=[404])
    @action(detail=True, url_path="files/<str:name>")
    def file(self, request: Request, pk: int, name: str) -> HttpResponse:
        attempt = one(attempts(request), pk, "attempt")
        for file in files_of(attempt):
            if file.name == name:
                return HttpResponse(gzip.compress(text_of(attempt, file), mtime=0), content_type="application/gzip")
        raise NotFound("This attempt has no such file.")


def files_of(attempt: Attempt) -> list[LogFile]:
    """In the order of the tasks; two queries."""
    rows = LogChunk.objects.filter(attempt=attempt).values_list("position").annotate(size=Sum(Length("text")))
    sizes = dict(rows.order_by("position"))
    tasks = attempt.tasks.filter(position__in=sizes).order_by("position")
    return [
        LogFile(position, name, sizes[position], written_at)
        for position, name, written_at in tasks.values_list("position", "full_name", "updated_at")
    ]


def text_of(attempt: Attempt, file: LogFile) -> bytes:
    chunks = LogChunk.objects.filter(attempt=attempt, position=file.position).order_by("pk")
    return "".join(chunks.values_list("text", flat=True)).encode()
