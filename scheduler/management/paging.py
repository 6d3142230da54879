"""Lists on a terminal: one page by id, and how to go on."""

import argparse
from typing import Any, TypeVar

from django.db.models import QuerySet

Rows = TypeVar("Rows", bound="QuerySet[Any]")

SHOWN = 20
MOST = 1000


def add_arguments(parser: argparse.ArgumentParser, onward: str = "below this id: older ones") -> None:
    parser.add_argument("-i", "--last-id", type=int, metavar="ID", help=f"go on {onward}")
    parser.add_argument(
        "-s", "--count", type=count, default=SHOWN, metavar="N", help=f"how many at most, up to {MOST}; {SHOWN}"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, as the API answers it")


def count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= number <= MOST:
        raise argparse.ArgumentTypeError(f"give a whole number from 1 to {MOST}")
    return number


def newest(rows: Rows, *, last_id: int | None, count: int) -> Rows:
    """A page by falling id, and one row more when there are more."""
    if last_id is not None:
        rows = rows.filter(pk__lt=last_id)
    return rows.order_by("-pk")[: count + 1]


def going_on(shown: list[dict[str, Any]], what: str) -> str:
    return f"There are more {what}: go on with --last-id {shown[-1]['id']}."
