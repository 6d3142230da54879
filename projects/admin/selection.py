"""How many rows an action takes in one go."""

from typing import Any, TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row", bound=Model)


def at_most(most: int, admin: Any, request: HttpRequest, rows: QuerySet[Row]) -> list[Row] | None:
    """The selected rows; None when there are more, which the reader is told.

    A question sends every row back as a field of its form, and Django takes DATA_UPLOAD_MAX_NUMBER_FIELDS of them.
    """
    selected = list(rows[: most + 1])
    if len(selected) <= most:
        return selected
    admin.message_user(request, f"Select at most {most} {admin.opts.verbose_name_plural}.", messages.ERROR)
    return None
