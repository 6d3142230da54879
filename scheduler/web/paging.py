"""Lists are paged by key: each page starts after the last row of the one before, and costs the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from urllib.parse import urlencode

from django.http import HttpRequest

LARGEST_KEY = 2**63 - 1

Row = TypeVar("Row")


@dataclass(frozen=True)
class KeyPage(Generic[Row]):
    """`next_href` is empty on the last page, `first_href` on the first."""

    rows: Sequence[Row]
    next_href: str
    first_href: str


def key_page(
    rows: Sequence[Row], *, size: int, key: str, last: object, start: object, kept: Mapping[str, str]
) -> KeyPage[Row]:
    """`rows` holds one more than `size` where there is a next page; `last` is the key of the last row shown.

    `start` is the key that this page starts after (None: the first page), `kept` the other parameters.
    """
    others = {name: value for name, value in kept.items() if value}
    following = {**others, key: str(last)} if len(rows) > size else None
    return KeyPage(
        rows=rows[:size],
        next_href=f"?{urlencode(following)}" if following else "",
        first_href=f"?{urlencode(others)}" if start is not None else "",
    )


def key_of(request: HttpRequest, name: str) -> int | None:
    """The row id in a parameter; None for none, and for what is none."""
    text = request.GET.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        return None
    return min(int(text), LARGEST_KEY)


def time_of(request: HttpRequest, name: str) -> datetime | None:
    """The instant in a parameter, in UTC; None for none, and for what is none."""
    try:
        instant = datetime.fromisoformat(request.GET.get(name, ""))
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):  # on the first and last day of the calendar, UTC may be beyond it
        return None
