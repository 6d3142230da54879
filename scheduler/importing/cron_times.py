"""The five fields of a crontab's line, as cron reads them, in expressions that Hindcast reads the same.

Cron runs a line on days that match the day of month OR the day of week, when neither begins with `*`; here both must
match. Such a line becomes two expressions that share no day. Cron runs what has `*` in its minute or hour by the clock
that ticks, and all else once a day for each time written; here a range counts as the former, so that it is written
as a list.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.importing.refusal import NotTaken
from scheduler.timetable import Kind, Timetable, TimetableError

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST_CLOCK = 140  # characters for minute and hour, so that a list of days has room behind them
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM = re.compile(r"(\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def value(self, text: str, item: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.lowest
        if not text.isdigit() or not self.lowest <= int(text) <= self.highest:
            raise NotTaken(f"The {self.name} is {self.lowest} to {self.highest}, not {text!r} as in {item!r}.")
        return int(text)


MINUTE = _Field("minute", 0, 59)
HOUR = _Field("hour", 0, 23)
DAY = _Field("day of month", 1, 31)
MONTH = _Field("month", 1, 12, _MONTHS)
WEEKDAY = _Field("day of week", 0, 7, _WEEKDAYS)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@dataclass(frozen=True)
class Times:
    """Expressions that together have the times of a line, each once; the second one is for its days of the week."""

    expressions: tuple[str, ...]
    notes: tuple[str, ...] = ()


def times_of(texts: Sequence[str], timezone: str) -> Times:
    """The times of five fields, or of one nickname such as `@daily`. Raises NotTaken."""
    if len(texts) == 1:
        return Times((_nicknamed(texts[0]),))
    minute, hour, day, month, weekday = (text.lower() for text in texts)
    values = [_values(field, text) for field, text in zip(FIELDS, (minute, hour, day, month, weekday), strict=True)]
    ticking = minute.startswith("*") or hour.startswith("*")
    clock = f"{minute} {hour}" if ticking else f"{_listed(values[0])} {_listed(values[1])}"
    notes: tuple[str, ...] = ()
    if len(clock) > LONGEST_CLOCK:
        clock = f"{minute} {hour}"
        notes = ("On a day on which the clocks go back, it runs in both copies of the repeated hour.",)
    return Times(_firing(_expressions(clock, day, month, weekday, values), timezone), notes)


def _nicknamed(text: str) -> str:
    if text.lower() in NICKNAMES:
        return NICKNAMES[text.lower()]
    if text.lower() == "@reboot":
        raise NotTaken("@reboot has no time: nothing here starts with a machine. Give it a time, or leave it to cron.")
    raise NotTaken(f"There is no {text!r}; there are {', '.join(NICKNAMES)}. Write five fields.")


def _values(field: _Field, text: str) -> frozenset[int]:
    return frozenset(value for item in text.split(",") for value in _item_values(field, item))


def _item_values(field: _Field, item: str) -> Iterable[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise NotTaken(f"The {field.name} has {item!r}{_reason(item)}; it takes values, '*', '1-5', '*/2' and '1-5/2'.")
    whole, low, high, step = match.groups()
    if step is not None and int(step) == 0:
        raise NotTaken(f"The {field.name} has {item!r}; a step is 1 or more.")
    if whole == "*":
        return range(field.lowest, field.highest + 1)[:: int(step or 1)]
    first = field.value(low, item)
    if high is None:
        if step is not None:
            raise NotTaken(
                f"The {field.name} has {item!r}, which crons read in two ways: write {first}, "
                f"or {first}-{field.highest}/{step}."
            )
        return (first,)
    last = field.value(high, item)
    if first > last:
        raise NotTaken(
            f"The {field.name} has {item!r}, which runs backwards; write {first}-{field.highest},{field.lowest}-{last}."
        )
    return range(first, last + 1)[:: int(step or 1)]


def _reason(item: str) -> str:
    if "~" in item or item.startswith("h"):
        return ", a time by chance"
    if any(sign in item for sign in "?#lw"):
        return ", which no crontab has"
    return ""


def _listed(values: Iterable[int]) -> str:
    return ",".join(map(str, sorted(values)))


def _ranged(values: Iterable[int]) -> str:
    """Shorter than a list, and the same for days."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else _listed(run) for run in runs)


def _expressions(clock: str, day: str, month: str, weekday: str, values: Sequence[frozenset[int]]) -> list[str]:
    days, weekdays = values[2], frozenset(value % 7 for value in values[4])
    # `0-7` and `5-7` mean something else here.
    weekday = _listed(weekdays) if "7" in weekday and not weekday.startswith("*") else weekday
    if day.startswith("*") or weekday.startswith("*"):
        return [f"{clock} {day} {month} {weekday}"]
    others = frozenset(range(DAY.lowest, DAY.highest + 1)) - days
    if not others or len(weekdays) == 7:
        return [f"{clock} * {month} *"]
    return [f"{clock} {day} {month} *", f"{clock} {_ranged(others)} {month} {weekday}"]


def _firing(expressions: Sequence[str], timezone: str) -> tuple[str, ...]:
    """Those that ever fire: the 31st of February adds nothing to all Mondays. Raises NotTaken when none does."""
    found, refusals = [], []
    for expression in expressions:
        try:
            Timetable(kind=Kind.CRON, expression=expression, timezone=timezone)
        except TimetableError as error:
            refusals.append(error)
        else:
            found.append(expression)
    if not found:
        raise NotTaken(" ".join(text for texts in refusals[0].errors.values() for text in texts))
    return tuple(found)
