"""One page that asks once before something is done: what, a few fields, and the buttons that do it."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from scheduler.web.frame import Page


@dataclass(frozen=True)
class Button:
    """`value` is sent as `choice`."""

    text: str
    value: str = "yes"


def ask(
    request: HttpRequest,
    page: Page,
    *,
    text: str,
    buttons: list[Button],
    back: str,
    action: str = "",
    form: forms.Form | None = None,
    refusal: str = "",
) -> HttpResponse:
    facts = {
        "page": page,
        "text": text,
        "buttons": buttons,
        "back": back,
        "action": action or request.path,
        "form": form,
        "refusal": refusal,
    }
    return render(request, "hindcast/ask.html", facts)
