"""What commands print for people: columns, and facts beside their names. Fit for a terminal of 100 columns."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from projects.dig.problems import printable

GAP = "  "
LONGEST_CELL = 40
WIDE = ("W", "F")  # two columns of a terminal


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under their headings, each column as wide as its widest cell; nothing at the ends of lines."""
    lines = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(map(columns, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        GAP.join(padded(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A fact a line; those without a value are left out."""
    there = [(f"{name}:", value) for name, value in pairs if value]
    width = max((columns(name) for name, _ in there), default=0)
    return "\n".join(f"{padded(name, width)} {value}" for name, value in there)


def cell(text: str, most: int = LONGEST_CELL) -> str:
    """A name that somebody chose: one line that steers no terminal, cut in its middle when it is long."""
    text = printable(text)
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def as_json(entry: Any) -> str:
    """The value as the API would answer it, indented."""
    return json.dumps(entry, ensure_ascii=False, indent=2)


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in WIDE else 1 for letter in text if not is_mark(letter))


def is_mark(letter: str) -> bool:
    """It is drawn over the letter before."""
    return unicodedata.combining(letter) > 0


def padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))
