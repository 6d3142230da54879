"""What happens around every request: its name in the logs."""

import re
import uuid
from collections.abc import Callable

from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bind_contextvars, unbind_contextvars

View = Callable[[HttpRequest], HttpResponseBase]
HEADER = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._-]{1,100}")


def request_id(get_response: View) -> View:
    """Every log line of a request names it: by the caller's X-Request-ID, or one of our own. The answer says which."""

    def named(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        name = given if SANE.fullmatch(given) else uuid.uuid4().hex
        bind_contextvars(request_id=name)
        response = get_response(request)
        response.headers[HEADER] = name
        return response

    return named


def forget(**_: object) -> None:
    """Only now: Django logs refusals once all middleware is done."""
    unbind_contextvars("request_id")


request_finished.connect(forget)
