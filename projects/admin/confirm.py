"""The page that asks once before an action of a list is done."""

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse


def is_confirmed(request: HttpRequest) -> bool:
    return request.POST.get("confirmed") == "yes"


def confirm(
    admin: Any,
    request: HttpRequest,
    rows: Sequence[Model],
    *,
    action: str,
    button: str,
    text: str,
    lines: Sequence[str],
) -> TemplateResponse:
    """Names the rows; its button sends the same `action` again, confirmed."""
    context = {
        **admin.admin_site.each_context(request),
        "title": button,
        "opts": admin.opts,
        "media": admin.media,
        "rows": rows,
        "action": action,
        "button": button,
        "text": text,
        "lines": lines,
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/includes/confirm.html", context)
