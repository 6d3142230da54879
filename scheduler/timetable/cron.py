"""The grammar of cron expressions, as Digdag reads them.

The text is read and written out as plain lists here, because several common spellings mean something else to
croniter (`5/15`, `5-5`, `0-7`, `R`, `H`, `?`). croniter then decides what the plain lists match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NoReturn

from croniter import croniter

from scheduler.timetable.errors import TimetableError, schedule_error, shown
from scheduler.timetable.pattern import Pattern

LONGEST_EXPRESSION = 256

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM = re.compile(r"(?:(?P<star>\*)|(?P<low>[0-9]+|[a-z]+)(?:-(?P<high>[0-9]+|[a-z]+))?)(?:/(?P<step>[0-9]+))?")
# No expression that fires at all is silent for longer: 29 February on one weekday, across 2100.
_LONGEST_SILENCE_YEARS = 40
# Naive on purpose: croniter is asked about the clock on the wall, never about a zone.
_SEARCH_START = datetime(2000, 1, 1)  # noqa: DTZ001


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    cycle: range
    names: tuple[str, ...] = ()


_MINUTE = _Field("minute", 0, 59, range(60))
_HOUR = _Field("hour", 0, 23, range(24))
_DAY_OF_MONTH = _Field("day of month", 1, 31, range(1, 32))
_MONTH = _Field("month", 1, 12, range(1, 13), _MONTHS)
_DAY_OF_WEEK = _Field("day of week", 0, 7, range(7), _WEEKDAYS)  # 7 is another name for Sunday
_FIELDS = (_MINUTE, _HOUR, _DAY_OF_MONTH, _MONTH, _DAY_OF_WEEK)


@dataclass(frozen=True)
class _Values:
    """One field, read: its values, whether `L` is among them, and whether a `*` or a range made them."""

    values: frozenset[int]
    last_day: bool
    spans: bool


@lru_cache(maxsize=4096)
def parse_cron(expression: str) -> Pattern:
    """The pattern of a five-field expression; TimetableError says what is wrong with it and what would be right."""
    fields = [_read_field(field, text) for field, text in zip(_FIELDS, _split(expression), strict=True)]
    plain = " ".join(_plain(field, values) for field, values in zip(_FIELDS, fields, strict=True))
    minutes, hours, days, months, weekdays = _expand(plain, expression)
    return Pattern(
        minutes=minutes,
        hours=hours,
        days=days,
        last_day=fields[2].last_day,
        months=months,
        weekdays=weekdays,
        fixed=not (fields[0].spans or fields[1].spans),
    )


def _split(expression: str) -> list[str]:
    if len(expression) > LONGEST_EXPRESSION:
        raise schedule_error(
            f"The cron expression has {len(expression)} characters; at most {LONGEST_EXPRESSION} are read."
        )
    if not expression.isascii() or re.search(r"[^\t\x20-\x7e]", expression.strip()):
        raise schedule_error(f"The cron expression {shown(expression)} has characters other than plain ASCII.")
    if expression.lstrip().startswith("@"):
        raise schedule_error(
            f"{shown(expression)} is not read; write five fields, or a kind such as 'daily>: 00:00:00'."
        )
    if "|" in expression:
        raise schedule_error("A schedule has one cron expression; '|' between two is not read.")
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        more = " Fields for seconds and years are not read." if len(texts) in (6, 7) else ""
        raise schedule_error(
            "A cron expression has 5 fields (minute, hour, day of month, month, day of week); "
            f"{shown(expression)} has {len(texts)}.{more}"
        )
    return texts


def _read_field(field: _Field, text: str) -> _Values:
    values: set[int] = set()
    last_day = spans = False
    for item in text.lower().split(","):
        if not item:
            raise schedule_error(f"The {field.name} field {shown(text)} has an empty item in its list.")
        if item == "l" and field is _DAY_OF_MONTH:
            last_day = True
            continue
        item_values, item_spans = _read_item(field, item)
        values.update(item_values)
        spans = spans or item_spans
    return _Values(frozenset(values), last_day, spans)


def _read_item(field: _Field, item: str) -> tuple[list[int], bool]:
    match = _ITEM.fullmatch(item)
    if match is None:
        _refuse_item(field, item)
    step = int(match["step"] or 1)
    if step == 0:
        raise schedule_error(f"The {field.name} field has {shown(item)}; a step is 1 or more.")
    if match["star"]:
        return list(field.cycle)[::step], True
    low = _read_value(field, match["low"], item)
    high = low if match["high"] is None else _read_value(field, match["high"], item)
    # A step after a single value takes that value alone: `5/15` is 5.
    return _range(field.cycle, low, high)[::step], low != high


def _range(cycle: range, low: int, high: int) -> list[int]:
    """From low to high, past the end of the cycle where high is the smaller; equal ends are one value."""
    if low <= high:
        return list(range(low, high + 1))
    return [*range(low, cycle.stop), *range(cycle.start, high + 1)]


def _read_value(field: _Field, text: str, item: str) -> int:
    if not text.isdigit():
        if text not in field.names:
            _refuse_item(field, item)
        return field.cycle[field.names.index(text)]
    value = int(text)
    if not field.lowest <= value <= field.highest:
        raise schedule_error(f"The {field.name} field has {shown(item)}; values are {field.lowest} to {field.highest}.")
    # Before ranges are read, so that `0-7` is Sunday alone and `5-7` is Friday to Sunday.
    return value % 7 if field is _DAY_OF_WEEK else value


_UNREAD = (
    (r"\?", "'?' is not read; write '*'"),
    (r"#", "'#' (the n-th weekday of a month) is not read; ask for days of month and a day of week"),
    (r"^[0-9]*w[0-9]*$|^lw$", "'W' (the nearest weekday) is not read"),
    (r"^[hr](?![a-z])", "'H' and 'R' (times by chance) are not read; write the time"),
    (r"^l(?![a-z])|[-0-9]l(/|$)", "'L' stands alone, and only in the day of month"),
    (r"^-", "negative numbers are not read"),
    (r"/[^0-9]*$|/.*/", "a step is one number, as in '*/5'"),
)


def _refuse_item(field: _Field, item: str) -> NoReturn:
    names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
    expected = f"values are {field.lowest} to {field.highest}{names}, in lists '1,3', ranges '1-5' and steps '*/2'"
    reason = next((text for pattern, text in _UNREAD if re.search(pattern, item)), expected)
    raise schedule_error(f"The {field.name} field has {shown(item)}; {reason}.")


def _plain(field: _Field, values: _Values) -> str:
    if len(values.values) == len(field.cycle):
        return "*"
    items = [str(value) for value in sorted(values.values)]
    return ",".join([*items, "l"] if values.last_day else items)


def _expand(plain: str, expression: str) -> list[frozenset[int]]:
    try:
        expanded, _ = croniter.expand(plain)
        croniter(plain, _SEARCH_START, day_or=False, max_years_between_matches=_LONGEST_SILENCE_YEARS).get_next(
            datetime
        )
    except (ValueError, OverflowError) as error:
        raise _never_fires(expression) from error
    return [
        frozenset(field.cycle) if "*" in values else frozenset(v for v in values if isinstance(v, int))
        for field, values in zip(_FIELDS, expanded, strict=True)
    ]


def _never_fires(expression: str) -> TimetableError:
    return schedule_error(
        f"The cron expression {shown(expression)} never fires: no month it names has a day it asks for."
    )
