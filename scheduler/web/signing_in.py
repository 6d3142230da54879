"""DOOR: the sign-in, of the pages and of the admin: tries are counted, so that passwords cannot be guessed."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from projects import limits
from projects.limits import Limit
from scheduler.web.errors import too_many
from scheduler.web.frame import Page

# Of one name, from one address; and of all names from there, as some guess one password for many. Whether there is
# a user of that name makes no difference. Others, elsewhere, can still sign in by the name.
ONE_NAME = Limit("sign in as", most=10, seconds=900)
ONE_ADDRESS = Limit("sign in from", most=100, seconds=900)


def bounded(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view that signs in. One try too many is a 429 before the password is looked at; a right one ends the count."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        name, address = called(request.POST.get("username", "")), address_of(request)
        if wait := tried(name, address):
            return refused(request, wait)
        response = view(request, *args, **kwargs)
        if response.status_code == 302 and request.user.get_username() == name:
            limits.restore(ONE_NAME, f"{address} {name}")
        return response

    return sensitive_post_parameters("password")(checked)


def called(name: str) -> str:
    """As Django reads it: many ways to write a name are no many names."""
    return unicodedata.normalize("NFKC", name).strip()


def tried(name: str, address: str) -> int:
    """Count a try. Returns the seconds to wait when it is one too many, else 0."""
    now = timezone.now()
    return limits.spend(ONE_ADDRESS, address, now=now) or limits.spend(ONE_NAME, f"{address} {name}", now=now)


def refused(request: HttpRequest, wait: int) -> HttpResponse:
    return too_many(request, "Too many tries to sign in from here. Your password was not looked at.", wait)


def address_of(request: HttpRequest) -> str:
    """Who is calling. What a caller says in `X-Forwarded-For` counts only where a proxy of ours adds to its end."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.HINDCAST_BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR", ""))


login = bounded(
    LoginView.as_view(
        template_name="hindcast/login.html",
        redirect_authenticated_user=True,
        extra_context={"page": Page(title="Sign in")},
    )
)
