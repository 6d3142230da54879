"""One page that asks once before something is done: what, a few fields, and the buttons that do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from scheduler.web.frame import Page
from scheduler.web.plan_table import PlanTable


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
    plan: PlanTable | None = None,
    values: Mapping[str, str] | None = None,
    is_answer: bool = False,
) -> HttpResponse:
    """`plan` stands under the form, and `values` are sent along with it. A `text` that `is_answer` gets the focus."""
    facts = {
        "page": page,
        "text": text,
        "buttons": buttons,
        "back": back,
        "action": action or request.path,
        "form": form,
        "refusal": refusal,
        "plan": plan,
        "values": values or {},
        "is_answer": is_answer,
    }
    return render(request, "hindcast/ask.html", facts)
