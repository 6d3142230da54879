"""How people read times: the schedule's zone first, UTC beside it, relative only next to the absolute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from scheduler.timetable import TimetableError, zone

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant, ready to be placed on a page."""

    local: str
    utc: str
    relative: str
    iso: str


def moment(instant: datetime | None, where: tzinfo, now: datetime) -> Moment | None:
    if instant is None:
        return None
    return Moment(
        local_text(instant, where), utc_text(instant), relative(instant, now), in_zone(instant, UTC).isoformat()
    )


def zone_or_utc(name: str) -> tzinfo:
    """The zone of an IANA name. A row may hold a name that is none; its times are shown in UTC then."""
    try:
        return zone(name)
    except TimetableError:
        return UTC


def in_zone(instant: datetime, where: tzinfo) -> datetime:
    try:
        return instant.astimezone(where)
    except OverflowError:  # the first and last day of the calendar have no local time everywhere
        return instant.astimezone(UTC)


def local_text(instant: datetime, where: tzinfo) -> str:
    """`2026-11-23 00:00 −08:00`; seconds only when there are some."""
    local = in_zone(instant, where)
    return f"{wall_text(local)} {offset_text(local)}"


def utc_text(instant: datetime) -> str:
    """`2026-11-23 08:00 UTC`."""
    return f"{wall_text(in_zone(instant, UTC))} UTC"


def wall_text(local: datetime) -> str:
    return local.replace(tzinfo=None).isoformat(" ", "seconds" if local.second else "minutes")


def offset_text(local: datetime) -> str:
    """`−08:00`, with a true minus; seconds only for the odd offsets of the nineteenth century."""
    offset = local.utcoffset() or timedelta(0)
    seconds = abs(int(offset.total_seconds()))
    text = f"{MINUS if offset < timedelta(0) else '+'}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


def relative(instant: datetime, now: datetime) -> str:
    """`in 4 min`, `3 h ago`, `now`."""
    seconds = (instant - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"in {rough(seconds)}" if seconds > 0 else f"{rough(-seconds)} ago"


def rough(seconds: float) -> str:
    """A length of time in one unit: `40 s`, `12 min`, `3 h`, `5 days`."""
    if seconds < 90:
        return f"{round(seconds)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 36 * 3600:
        return f"{round(seconds / 3600)} h"
    days = round(seconds / 86_400)
    return f"{days} days" if days < 730 else f"{round(days / 365)} years"


def duration(length: timedelta) -> str:
    """`40 ms`, `3.2 s`, `12 s`, `4 min 09 s`, `1 h 04 m`."""
    seconds = max(length.total_seconds(), 0)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60:02} m"
