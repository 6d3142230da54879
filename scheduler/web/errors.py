"""What people see when something is not there, not allowed, or broken. Under /api/ the answer stays JSON."""

from __future__ import annotations

import sys

from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from scheduler.away import database_is_away
from scheduler.observe.trouble import Trouble, trouble_of
from scheduler.web.frame import Page


class Gone(Http404):
    """What was asked for is not there; `sentence` says so to the reader, as no other Http404 does."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, Gone):
        advice = "Go back and reload the page to see what is there."
        return _problem(request, 404, "Not found", exception.sentence, advice)
    return _problem(
        request,
        404,
        "Not found",
        "There is nothing at this address, or it belongs to a project that you may not see.",
        "Look for it by name in the list of schedules.",
    )


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem(
        request,
        400,
        "Not understood",
        "The request has a form that cannot be read. Nothing was changed.",
        "Go back and try it again from the page.",
    )


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    text = str(exception) or "This needs a permission that you do not have."
    return _problem(request, 403, "Not allowed", f"{text} Nothing was changed.", "An administrator can give it to you.")


@requires_csrf_token
def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _problem(
        request,
        403,
        "This form is too old",
        "It was opened before you signed in or out, or the browser sends no cookies. Nothing was changed.",
        "Go back, reload the page and send it again.",
    )


def too_many(request: HttpRequest, text: str, wait: int) -> HttpResponse:
    """`wait`: the seconds until it is worth another try."""
    minutes = f"{-(-wait // 60)} minutes" if wait > 60 else f"{wait} seconds"
    response = _problem(request, 429, "Too many tries", text, f"Try it again in {minutes}.")
    response.headers["Retry-After"] = str(wait)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """What Django calls while it handles an exception that nobody expected."""
    error = sys.exception()
    if isinstance(error, Error) and database_is_away(error):
        return _database_trouble(request, trouble_of(error))
    text = "Something went wrong on our side. What was saved before is kept; what you just sent may not be."
    advice = "Look at what was saved before you try again. The log of the web process says what happened."
    return _broken(request, 500, "Something went wrong", text, advice)


def _database_trouble(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    advice = f"Nothing has to be restarted. Try it again in {trouble.retry_after} seconds or later."
    response = _broken(request, 503, "Not possible right now", trouble.text, advice)
    response.headers["Retry-After"] = str(trouble.retry_after)
    return response


def _broken(request: HttpRequest, status: int, title: str, text: str, advice: str) -> HttpResponse:
    """Rendered without the request: whatever broke, the session and the database may be what is broken."""
    if request.path.startswith("/api/"):
        return JsonResponse({"message": text, "status": status}, status=status)
    facts = {"title": title, "text": text, "advice": advice}
    return HttpResponse(render_to_string("hindcast/server_error.html", facts), status=status)


def _problem(request: HttpRequest, status: int, title: str, text: str, advice: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse({"message": text, "status": status}, status=status)
    facts = {"page": Page(title=title), "text": text, "advice": advice}
    return render(request, "hindcast/problem.html", facts, status=status)
