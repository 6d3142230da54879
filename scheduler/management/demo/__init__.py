"""The demo project: three workflows in three time zones, with four weeks of past to backfill."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction

from projects.models import Project, Revision
from projects.revisions import publish
from scheduler.management.demo.past import insert_past
from scheduler.models import Schedule
from scheduler.schedules import adopt

NAME = "demo"
PAST = timedelta(days=28)
FOLDER = Path(__file__).parent


def make(*, now: datetime) -> list[Schedule]:
    """The schedules of the project `demo`, made with their past when there is no such project.

    The past ends at `now`: partly success, partly error, partly missing, the same for the same `now`.
    """
    with transaction.atomic():
        if not Project.objects.live().filter(name=NAME).exists():
            _make(now)
    rows = Schedule.objects.with_names().filter(workflow__project__name=NAME, workflow__project__deleted_at=None)
    return list(rows.order_by("workflow__name"))


def _make(now: datetime) -> None:
    current = _files("project")
    before = _publish("r1", current | _files("before_the_fix"), now - PAST)
    fixed = _publish("r2", current, now)
    schedules = adopt(fixed, now=now)
    insert_past(schedules, ran=before, since=now - PAST, now=now)


def _publish(name: str, files: Mapping[str, bytes], at: datetime) -> Revision:
    documents = {Path(path).stem: _document(text) for path, text in files.items() if path.endswith(".dig")}
    return publish(project_name=NAME, revision_name=name, documents=documents, files=files, now=at)


def _document(text: bytes) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def _files(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((FOLDER / folder).iterdir()) if path.is_file()}
