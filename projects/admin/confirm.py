"""The page that asks once before an action of a list is done."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse

YES = "yes"
LINES = 50


def answer(request: HttpRequest) -> str:
    """Which button of the page was pressed; empty before it was shown."""
    return request.POST.get("confirmed", "")


def is_confirmed(request: HttpRequest) -> bool:
    return answer(request) == YES


def confirm(
    admin: Any,
    request: HttpRequest,
    rows: Sequence[Model],
    *,
    action: str,
    buttons: Sequence[tuple[str, str]],
    text: str,
    lines: Sequence[str],
    title: str = "",
    form: forms.Form | None = None,
    values: Sequence[tuple[str, str]] = (),
) -> TemplateResponse:
    """Names the rows; its buttons, pairs (answer, text), send the same `action` again, with `values` and the form.

    The title is the text of the first button, unless given.
    """
    context = {
        **admin.admin_site.each_context(request),
        "title": title or buttons[0][1],
        "opts": admin.opts,
        "media": admin.media,
        "rows": rows,
        "action": action,
        "buttons": buttons,
        "text": text,
        "lines": lines[:LINES],
        "more": f"and {len(lines) - LINES:,} more" if len(lines) > LINES else "",
        "form": form,
        "values": values,
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/includes/confirm.html", context)
