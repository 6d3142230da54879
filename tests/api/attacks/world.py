"""Every address of the product, and one of everything to ask it about."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import get_converters
from django.urls.resolvers import RoutePattern

MINE, THEIRS = "mine-3c1", "theirs-9f2"
HIDDEN = "hidden-7ab"  # all that is written about theirs has it, but for the project's name: an answer may repeat that
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PLACE = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")
WHEN = "2026-03-02T10:00:00Z"


@dataclass(frozen=True)
class Address:
    """`pattern` as the URLconf has it, `/api/schedules/<int:pk>`; `methods` that the view answers, where it tells."""

    pattern: str
    name: str
    methods: frozenset[str]

    @property
    def places(self) -> list[str]:
        return [one or other for one, other in PLACE.findall(self.pattern)]

    def filled(self, values: dict[str, Any]) -> str:
        """A path. Raises KeyError for a place that has no value in `values`: give it one."""
        return PLACE.sub(lambda place: str(values[place[1] or place[2]]), self.pattern)


def addresses(prefix: str = "/") -> list[Address]:
    return [address for address in _walked(get_resolver().url_patterns, "/") if address.pattern.startswith(prefix)]


def groups(found: Sequence[Address], size: int = 8) -> list[Any]:
    """As parameters of a test, a few at a time: the world that it is asked about is made once for them."""
    return [pytest.param(found[n : n + size], id=found[n].pattern) for n in range(0, len(found), size)]


def _walked(patterns: Sequence[Any], before: str) -> Iterator[Address]:
    for item in patterns:
        if isinstance(item, URLResolver):
            yield from _walked(item.url_patterns, before + _text(item))
        elif _text(item) not in {"", "(?P<url>.*)"} or isinstance(item.pattern, RoutePattern):
            yield Address(before + _text(item), item.name or "", frozenset(_methods(item)))


def _text(item: Any) -> str:
    return str(item.pattern).removeprefix("^").removesuffix("$")


def _methods(item: URLPattern) -> list[str]:
    actions = getattr(item.callback, "actions", None)
    if actions:
        return [name.upper() for name in actions] + (["HEAD"] if "get" in actions else [])
    view = getattr(item.callback, "view_class", getattr(item.callback, "cls", None))
    names = getattr(view, "http_method_names", [])
    return [name.upper() for name in names if hasattr(view, name)]


assert set(get_converters()) >= {"int", "str"}


@dataclass(frozen=True)
class Owned:
    """One of everything in a project, by the names that addresses give them."""

    mark: str
    project: int
    workflow: int
    definition: int
    revision: int
    schedule: int
    session: int
    attempt: int
    backfill: int
    log: str
    others: dict[str, int]  # ids of rows by the name of their model, for the admin

    def of_api(self, pattern: str) -> dict[str, Any]:
        """What `pk` is depends on what the address begins with."""
        ids = {
            "projects": self.project,
            "workflows": self.definition,
            "schedules": self.schedule,
            "sessions": self.session,
            "attempts": self.attempt,
            "backfills": self.backfill,
            "logs": self.attempt,
        }
        is_log = pattern.startswith("/api/logs/")
        name = self.log if is_log else f"{self.mark}-workflow"
        return {"pk": ids.get(pattern.split("/")[2], 1), "key": "token", "name": name}

    def of_pages(self) -> dict[str, Any]:
        return {
            "project_id": self.project,
            "revision_id": self.revision,
            "workflow_id": self.workflow,
            "definition_id": self.definition,
            "schedule_id": self.schedule,
            "session_id": self.session,
            "attempt_id": self.attempt,
            "backfill_id": self.backfill,
            "key": "token",
            "path": "a.dig",
        }

    def of_admin(self, pattern: str) -> dict[str, Any]:
        _, _, app, model, *_ = [*pattern.split("/"), "", ""]
        found = self.others.get(f"{app}.{model}", 1)
        return {"object_id": found, "id": found, "content_type_id": 1, "app_label": app, "url": "x"}

    def bodies(self) -> dict[str, Any]:
        """What the API would take, by the name of the address."""
        return {
            "api-schedule-backfill": {"attemptName": "x", "fromTime": WHEN, "dryRun": False},
            "api-backfill-retry": {"attemptName": "x", "dryRun": False},
            "api-schedule-skip": {"nextTime": "2026-03-04T00:00:00Z"},
            "api-project-secret": {"value": "x"},
            "api-attempt-list": {"workflowId": str(self.definition), "sessionTime": WHEN, "retryAttemptName": "x"},
        }

    def body_of(self, address: Address) -> bytes:
        return json.dumps(self.bodies().get(address.name, {})).encode()


def content_of(answer: Any) -> bytes:
    """Also of a file, which is closed by it."""
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def tgz(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def rows() -> dict[str, list[Any]]:
    """All that is stored but for when keys were used last: equal before and after means that nothing was written."""
    found = {}
    for label in ("projects", "scheduler", "auth"):
        for model in apps.get_app_config(label).get_models(include_auto_created=True):
            hidden = {"last_used_at", "last_login"}
            names = [field.attname for field in model._meta.concrete_fields if field.attname not in hidden]
            found[model._meta.label] = sorted(map(repr, model._default_manager.values_list(*names)))
    return found
