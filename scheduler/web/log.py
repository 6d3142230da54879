"""The log of an attempt on its page: the end of it first, then only what is new. Bounded, however long it is.

A log that was moved into the storage is read there, file by file from the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import F, Sum, Value
from django.db.models.functions import Length, Replace

from scheduler import logs
from scheduler.models import LogChunk

LINES = 2_000
# Of text in one answer. A page of 2,000 lines of 50 letters is 160 KB of HTML, which opens at once.
CHARACTERS = 100_000
# A line longer than this is cut; the raw log has all of it.
LONGEST_LINE = 8_000
BATCH = 8

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    text: str


@dataclass(frozen=True)
class Part:
    """Some lines of a log, and the place in it (`chunk` and `offset`) and the line number to go on from."""

    lines: list[Line]
    chunk: int
    offset: int
    number: int
    skipped: int = 0
    """How many lines stand before these and are not shown."""
    more: bool = False
    """There was more than one answer holds."""
    trouble: str = ""
    """Why nothing can be shown."""


class Piece(NamedTuple):
    """`text` of a chunk from `start` on."""

    chunk: int
    start: int
    text: str


def tail(attempt_id: int, *, done: bool) -> Part:
    """The last lines. What is not a whole line yet waits for the next look, unless the attempt is `done`."""
    pieces = _last_pieces(attempt_id)
    if not pieces:
        return _kept_tail(attempt_id) if done else Part([], 0, 0, 1)
    text = "".join(piece.text for piece in pieces)
    cut = _start_of_tail(text)
    skipped = _lines_before(attempt_id, pieces[0].chunk) + text.count("\n", 0, cut)
    return _part(text[cut:], pieces, number=skipped + 1, flush=done, skipped=skipped)


def follow(attempt_id: int, *, chunk: int, offset: int, number: int, done: bool) -> Part:
    """What came after the place that an earlier Part ended at."""
    pieces, more = _next_pieces(attempt_id, chunk, offset)
    if not pieces:
        return _kept_from(attempt_id, chunk, number) if done else Part([], chunk, offset, number)
    return _part("".join(piece.text for piece in pieces), pieces, number=number, flush=done and not more, more=more)


def _last_pieces(attempt_id: int) -> list[Piece]:
    rows = LogChunk.objects.filter(attempt=attempt_id).order_by("-pk").values_list("pk", "text")
    pieces: list[Piece] = []
    size = 0
    while size < CHARACTERS:
        batch = list((rows.filter(pk__lt=pieces[-1].chunk) if pieces else rows)[:BATCH])
        pieces += [Piece(pk, 0, text) for pk, text in batch]
        size += sum(len(text) for _, text in batch)
        if len(batch) < BATCH:
            break
    return pieces[::-1]


def _next_pieces(attempt_id: int, chunk: int, offset: int) -> tuple[list[Piece], bool]:
    """Up to CHARACTERS of text, and whether there is more."""
    rows = LogChunk.objects.filter(attempt=attempt_id).order_by("pk").values_list("pk", "text")
    pieces: list[Piece] = []
    room = CHARACTERS
    batch = list(rows.filter(pk__gte=chunk)[:BATCH])
    while batch:
        for pk, text in batch:
            start = offset if pk == chunk else 0
            piece = Piece(pk, start, text[start : start + room])
            pieces.append(piece)
            room -= len(piece.text)
            if start + len(piece.text) < len(text):
                return pieces, True
        batch = list(rows.filter(pk__gt=batch[-1][0])[:BATCH])
    return pieces, False


def _kept_tail(attempt_id: int) -> Part:
    files = logs.kept_files(attempt_id)
    text = ""
    try:
        while files and len(text) < CHARACTERS:
            text = logs.kept_text(files.pop()) + text
    except logs.LogUnavailable as error:
        return Part([], 0, 0, 1, trouble=error.message)
    if not text:
        return Part([], 0, 0, 1)
    cut = _start_of_tail(text)
    skipped = sum(file.lines for file in files) + text.count("\n", 0, cut)
    return _part(text[cut:], [Piece(0, cut, text[cut:])], number=skipped + 1, flush=True, skipped=skipped)


def _kept_from(attempt_id: int, chunk: int, number: int) -> Part:
    """From a line on, for a page that was open while the log was moved. The place in it means nothing any more."""
    try:
        text = "".join(logs.text(attempt_id))
    except logs.LogUnavailable as error:
        return Part([], chunk, 0, number, trouble=error.message)
    start = 0
    for _ in range(number - 1):
        start = text.find("\n", start) + 1
        if not start:
            return Part([], chunk, 0, number)
    shown = text[start : start + CHARACTERS]
    more = start + CHARACTERS < len(text)
    return _part(shown, [Piece(chunk, 0, shown)], number=number, flush=not more, more=more)


def _start_of_tail(text: str) -> int:
    """Where the last LINES lines begin, at most CHARACTERS from the end; at the start of a line if there is one."""
    start = max(len(text) - CHARACTERS, 0)
    if start:
        start = text.find("\n", start, len(text) - 1) + 1 or start
    ends = text.count("\n", start) + (not text.endswith("\n"))
    for _ in range(ends - LINES):
        start = text.index("\n", start) + 1
    return start


def _lines_before(attempt_id: int, chunk: int) -> int:
    earlier = LogChunk.objects.filter(attempt=attempt_id, pk__lt=chunk)
    newlines = Length("text") - Length(Replace(F("text"), Value("\n"), Value("")))
    return earlier.aggregate(count=Sum(newlines))["count"] or 0


def _part(
    text: str, pieces: Sequence[Piece], *, number: int, flush: bool, skipped: int = 0, more: bool = False
) -> Part:
    *whole, rest = text.split("\n")
    if rest and (flush or len(rest) > LONGEST_LINE):
        whole, rest = [*whole, rest], ""
    lines = [Line(number + index, readable(line)) for index, line in enumerate(whole)]
    chunk, offset = _place(pieces, len(rest))
    return Part(lines, chunk, offset, number + len(lines), skipped, more)


def _place(pieces: Sequence[Piece], back: int) -> tuple[int, int]:
    """The place `back` letters before the end of the pieces."""
    for piece in reversed(pieces):
        if back <= len(piece.text):
            return piece.chunk, piece.start + len(piece.text) - back
        back -= len(piece.text)
    return pieces[0].chunk, pieces[0].start


def readable(line: str) -> str:
    """Without what steers a terminal; of a line that was written over, the last writing."""
    line = _ESCAPES.sub("", line.rstrip("\r"))
    line = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", line.rpartition("\r")[2])
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[:LONGEST_LINE]} … {len(line) - LONGEST_LINE:,} more characters in the raw log"
