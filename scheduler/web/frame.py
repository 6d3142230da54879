"""What stands around every page: title, breadcrumbs, where we are; and who may come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRefresh

BACKFILL = "scheduler.backfill_schedule"
CHANGE = "scheduler.change_schedule"
RUN = "scheduler.run_attempt"
PUSH = "projects.add_revision"
DELETE = "projects.delete_project"
KEEP_SECRETS = "projects.change_secret"
NAV = (
    ("schedules", "Schedules"),
    ("projects", "Projects"),
    ("backfills", "Backfills"),
    ("attempts", "Attempts"),
)


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    href: str = ""
    current: bool = False


@dataclass(frozen=True)
class Page:
    """`title` heads the page and its tab; `crumbs` lead to it; `at` names the part of the site in the top bar."""

    title: str
    at: str = ""
    crumbs: Sequence[Link] = ()

    @property
    def nav(self) -> list[Link]:
        return [Link(text, reverse(name), name == self.at) for name, text in NAV]


def signed_in(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Only for who is signed in. A fragment asked for after the end of a login reloads its page, which asks again."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            response = view(request, *args, **kwargs)
            patch_cache_control(response, private=True, no_cache=True)
            return response
        if getattr(request, "htmx", False):
            return HttpResponseClientRefresh()
        return redirect_to_login(request.get_full_path())

    return checked


def is_staff(request: HttpRequest) -> bool:
    """Who may open the admin."""
    return bool(getattr(request.user, "is_staff", False))
