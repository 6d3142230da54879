"""Errors to Sentry (or what speaks its protocol) when SENTRY_DSN is set. Never keys, params, bodies or secrets."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from structlog.contextvars import get_contextvars

from scheduler.execution.masked_logs import masked_report

PACKAGE = "sentry_sdk"
HEADERS = {"accept", "content-length", "content-type", "host", "user-agent", "x-request-id"}
TAGS = ("request_id", "attempt")

Event = dict[str, Any]


def start() -> None:
    """Once in each process, after the settings. A missing package is for the system check to tell."""
    if settings.SENTRY_DSN and find_spec(PACKAGE):
        configure(import_module(PACKAGE), settings.SENTRY_DSN)


def configure(sdk: Any, dsn: str) -> None:
    sdk.init(
        dsn=dsn,
        send_default_pii=False,
        include_local_variables=False,  # a frame of ours may hold a key or the params of an attempt
        max_request_body_size="never",
        traces_sample_rate=None,
        before_send=stripped,
        before_breadcrumb=lambda crumb, hint: None,  # they hold log lines and statements
    )


def stripped(event: Event, hint: object) -> Event:
    """Of a request: its method, its path and harmless headers. Of a log line: its text. Of a process: no arguments."""
    request = event.get("request")
    if request:
        kept = {name: value for name, value in request.get("headers", {}).items() if name.lower() in HEADERS}
        url = str(request.get("url", "")).partition("?")[0]
        event["request"] = {"method": request.get("method"), "url": url, "headers": kept}
    for part in ("extra", "user", "breadcrumbs"):
        event.pop(part, None)
    names = get_contextvars()
    event["tags"] = {**event.get("tags", {}), **{name: str(names[name]) for name in TAGS if name in names}}
    return masked_report(event)
