"""What people are told about a session on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from scheduler.timetable.walk import LocalTimes, Rhythm
from scheduler.timetable.wall import (
    EARLIEST,
    LATEST,
    as_datetime,
    segment_at,
    zone,
)


def note(*, rhythm: Rhythm, zone_name: str, instant: int, delay: int) -> str | None:
    """One short note, or None when no change touches the session at `instant` or its run `delay` seconds later."""
    if not EARLIEST <= instant < LATEST - delay:
        return None
    return (
        _moved(rhythm, zone_name, instant)
        or _repeated(rhythm, zone_name, instant)
        or _run_at_another_time(zone_name, instant, delay)
    )


def _moved(rhythm: Rhythm, zone_name: str, instant: int) -> str | None:
    if not isinstance(rhythm, LocalTimes) or not rhythm.pattern.fixed:
        return None
    segment = segment_at(zone_name, instant)
    for gap in segment.gaps:
        asked = instant + gap.before
        if gap.start <= instant < gap.end and rhythm.pattern.matches(asked):
            missing, shown = _clocks(asked, instant + segment.offset)
            return f"clocks went forward: {missing} does not exist, ran as {shown}"
    return None


def _repeated(rhythm: Rhythm, zone_name: str, instant: int) -> str | None:
    local = as_datetime(instant).astimezone(zone(zone_name))
    if local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset():
        return None
    which = "second" if local.fold else "first"
    return f"clocks went back: this hour occurs twice, this is the {which} {local:%H:%M}"


def _run_at_another_time(zone_name: str, instant: int, delay: int) -> str | None:
    before = segment_at(zone_name, instant).offset
    after = segment_at(zone_name, instant + delay).offset
    if before == after:
        return None
    usual, actual = _clocks(instant + delay + before, instant + delay + after)
    direction = "forward" if after > before else "back"
    return f"clocks went {direction}: runs at {actual} instead of {usual}"


def _clocks(one: int, other: int) -> tuple[str, str]:
    """Two walls as people read them: with their dates when these differ."""
    first, second = _wall_datetime(one), _wall_datetime(other)
    form = "%H:%M" if first.date() == second.date() else "%Y-%m-%d %H:%M"
    return first.strftime(form), second.strftime(form)


def _wall_datetime(wall: int) -> datetime:
    # UTC stands in for "no zone": only the digits are used.
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=wall)
