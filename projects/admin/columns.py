"""Cells and read-only fields of the admin: links between rows, moments in UTC, documents. All escape what they show."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join

EMPTY = "–"
LONGEST = 60  # letters of a name in a link; the rest is in its title

Column = Callable[[Any], str]


def row_url(row: Model) -> str:
    """The admin's page of one row."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def row_link(row: Model | None, text: object = None) -> str:
    """A link to the page of `row`, under its name, shortened, unless `text` is given."""
    if row is None:
        return EMPTY
    if text is not None:
        return format_html('<a href="{}">{}</a>', row_url(row), text)
    name = str(row)
    title = format_html(' title="{}"', name) if len(name) > LONGEST else ""
    return format_html('<a href="{}"{} dir="auto">{}</a>', row_url(row), title, shortened(name))


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def list_url(model: str, **filters: object) -> str:
    """The admin's list of `model` ("scheduler_attempt"), narrowed by the parameters of its filters."""
    query = f"?{urlencode(filters)}" if filters else ""
    return reverse(f"admin:{model}_changelist") + query


def list_links(*links: tuple[str, str]) -> str:
    """Links to lists, of pairs (address, text), in one cell."""
    return format_html_join(" · ", '<a href="{}">{}</a>', links)


def moment(instant: datetime | None) -> str:
    if instant is None:
        return EMPTY
    instant = instant.astimezone(UTC)
    return format_html(
        '<time class="hindcast-moment" datetime="{}">{}</time>',
        instant.isoformat(),
        f"{instant:%Y-%m-%d %H:%M:%S} UTC",
    )


def moment_column(name: str, label: str) -> Column:
    """The field `name`, a moment, as a column; in UTC whatever the reader's place."""

    @admin.display(description=label, ordering=name)
    def column(row: Any) -> str:
        return moment(getattr(row, name))

    column.__name__ = name
    return column


def document(value: object) -> str:
    """Data as indented JSON."""
    if value in ({}, [], None):
        return EMPTY
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
    return format_html('<pre class="hindcast-document">{}</pre>', text)


def document_column(name: str, label: str) -> Column:
    @admin.display(description=label)
    def column(row: Any) -> str:
        return document(getattr(row, name))

    column.__name__ = name
    return column


def link_column(path: str, label: str) -> Column:
    """The row at the end of `path` ("workflow.project") as a link; load it with `list_select_related`."""

    @admin.display(description=label)
    def column(row: Any) -> str:
        for step in path.split("."):
            row = getattr(row, step) if row is not None else None
        return row_link(row)

    column.__name__ = path.replace(".", "_")
    return column
