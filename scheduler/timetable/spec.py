"""Reading the `schedule:` mapping of a workflow file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from scheduler.timetable.errors import schedule_error, shown
from scheduler.timetable.kinds import Kind
from scheduler.timetable.timetable import Timetable

_OPTIONS = ("start", "end", "skip_on_overtime", "skip_delayed_by", "delay", "catch_up", "overlap")
_CATCH_UP = ("all", "latest", "none")
_OVERLAP = ("allow", "skip", "queue_one", "cancel_running")
_DURATION = re.compile(
    r"\s*(?:([0-9]+)\s*d)?\s*(?:([0-9]+)\s*h)?\s*(?:([0-9]+)\s*m)?\s*(?:([0-9]+)\s*s)?\s*", re.IGNORECASE
)
_UNITS = (86_400, 3_600, 60, 1)
_LONGEST_SKIP_DELAYED_BY = 366 * 86_400
_LONGEST_TEXT = 100


@dataclass(frozen=True)
class ScheduleSpec:
    """What a workflow file asks for.

    `catch_up` is all, latest or none; `overlap` is allow, skip, queue_one or cancel_running; `skip_delayed_by` is in
    seconds.
    """

    timetable: Timetable
    catch_up: str
    overlap: str
    skip_delayed_by: int | None

    @property
    def skip_on_overtime(self) -> bool:
        return self.overlap == "skip"


def parse_schedule(config: Mapping[str, object], timezone: str) -> ScheduleSpec:
    """Read a `schedule:` mapping, such as {"daily>": "07:00:00", "start": "2026-01-01"}.

    Raises TimetableError for a mapping that does not have exactly one `kind>:` key, has a key or a value that
    is not known, or names no timetable. `timezone` is the workflow's IANA zone.
    """
    if not isinstance(config, Mapping):
        raise schedule_error(f"schedule: is a mapping, such as 'daily>: 07:00:00', not {shown(config)}.")
    kind, command = _command(config)
    _refuse_unknown_keys(config)
    timetable = Timetable(
        kind=kind,
        expression=_expression(kind, command),
        timezone=timezone,
        delay=_delay(config.get("delay")),
        start_date=_date("start", config.get("start")),
        end_date=_date("end", config.get("end")),
    )
    return ScheduleSpec(
        timetable=timetable,
        catch_up=_choice("catch_up", config.get("catch_up"), _CATCH_UP),
        overlap=_overlap(config),
        skip_delayed_by=_skip_delayed_by(config.get("skip_delayed_by")),
    )


def _command(config: Mapping[str, object]) -> tuple[Kind, object]:
    keys = [key for key in config if isinstance(key, str) and key.endswith(">")]
    if len(keys) != 1:
        found = f"{len(keys)} of them: {', '.join(shown(key) for key in keys[:5])}" if keys else "none"
        raise schedule_error(f"schedule: has exactly one kind, such as 'daily>: 07:00:00'; this has {found}.")
    known = {f"{kind.value}>": kind for kind in Kind}
    if keys[0] not in known:
        raise schedule_error(f"Unknown kind of schedule {shown(keys[0])}; there are {', '.join(known)}.")
    return known[keys[0]], config[keys[0]]


def _refuse_unknown_keys(config: Mapping[str, object]) -> None:
    unknown = [key for key in config if not isinstance(key, str) or (key not in _OPTIONS and not key.endswith(">"))]
    if unknown:
        names = ", ".join(shown(key) for key in unknown[:5])
        raise schedule_error(f"Unknown key {names} in schedule:; the keys are {', '.join(_OPTIONS)}.")


def _expression(kind: Kind, command: object) -> str:
    if isinstance(command, str):
        return command
    if kind in (Kind.MINUTES, Kind.SECONDS) and isinstance(command, int) and not isinstance(command, bool):
        return str(command) if abs(command) < 10**12 else "too large"
    # A YAML reader of the old rules makes the number 25200 of `07:00:00`.
    raise schedule_error(f"{kind.value}>: takes text, not {shown(command)}; put it in quotes.")


def _delay(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return int(value)
    if isinstance(value, int):
        return value  # its range is the timetable's to check
    raise schedule_error(f"delay: is a number of seconds, such as 30, not {shown(value)}.")


def _date(key: str, value: object) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise schedule_error(f"{key}: {shown(value)} is not a day of the calendar.") from None
    raise schedule_error(f"{key}: is a date YYYY-MM-DD, such as 2026-01-31, not {shown(value)}.")


def _boolean(key: str, value: object) -> bool:
    if value is None:
        return False
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise schedule_error(f"{key}: is true or false, not {shown(value)}.")


def _choice(key: str, value: object, choices: tuple[str, ...]) -> str:
    """One of `choices`; the first when nothing is said."""
    if value is None:
        return choices[0]
    if isinstance(value, str) and value in choices:
        return value
    raise schedule_error(f"{key}: is one of {', '.join(choices)}, not {shown(value)}.")


def _overlap(config: Mapping[str, object]) -> str:
    """`skip_on_overtime: true` is `overlap: skip`; who writes both must mean the same."""
    skips = _boolean("skip_on_overtime", config.get("skip_on_overtime"))
    if config.get("overlap") is None:
        return "skip" if skips else "allow"
    overlap = _choice("overlap", config["overlap"], _OVERLAP)
    if config.get("skip_on_overtime") is not None and skips != (overlap == "skip"):
        said = "true" if skips else "false"
        raise schedule_error(f"overlap: {overlap} and skip_on_overtime: {said} say different things; keep one.")
    return overlap


def _skip_delayed_by(value: object) -> int | None:
    if value is None:
        return None
    seconds = _duration(value)
    if seconds is None or not 1 <= seconds <= _LONGEST_SKIP_DELAYED_BY:
        raise schedule_error(
            "skip_delayed_by: is a duration from 1 second to 366 days, such as '1h 30m' or a number of "
            f"seconds, not {shown(value)}."
        )
    return seconds


def _duration(value: object) -> int | None:
    """Seconds of '1d 2h 3m 4s' (any of the four, in this order) or of a plain number of seconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", value):
        return int(value)
    match = _DURATION.fullmatch(value)
    if match is None:
        return None
    return sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS, strict=True) if count)
