"""The `schedule:` mapping of a workflow file."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from scheduler.timetable import Kind, ScheduleSpec, Timetable, TimetableError, parse_schedule


def test_a_kind_alone_is_a_schedule_without_policies() -> None:
    spec = parse_schedule({"daily>": "07:00:00"}, "Asia/Tokyo")

    assert spec == ScheduleSpec(Timetable(Kind.DAILY, "07:00:00", "Asia/Tokyo"), "all", "allow", None)


def test_every_option_is_read() -> None:
    config = {
        "cron>": "0 3 * * 1",
        "start": "2026-01-01",
        "end": date(2026, 12, 31),
        "skip_on_overtime": True,
        "skip_delayed_by": "1h 30m",
        "delay": 30,
    }

    spec = parse_schedule(config, "UTC")

    assert spec == ScheduleSpec(
        Timetable(Kind.CRON, "0 3 * * 1", "UTC", 30, date(2026, 1, 1), date(2026, 12, 31)), "all", "skip", 5400
    )


@pytest.mark.parametrize(
    ("key", "command", "kind", "expression"),
    [
        ("hourly>", "30:00", Kind.HOURLY, "30:00"),
        ("weekly>", "Sun,07:00:00", Kind.WEEKLY, "Sun,07:00:00"),
        ("monthly>", "1,07:00:00", Kind.MONTHLY, "1,07:00:00"),
        ("minutes_interval>", 5, Kind.MINUTES, "5"),
        ("minutes_interval>", "5", Kind.MINUTES, "5"),
        ("seconds_interval>", 30, Kind.SECONDS, "30"),
        ("cron>", "*/5 * * * *", Kind.CRON, "*/5 * * * *"),
    ],
)
def test_each_kind_is_read(key: str, command: object, kind: Kind, expression: str) -> None:
    timetable = parse_schedule({key: command}, "UTC").timetable

    assert (timetable.kind, timetable.expression) == (kind, expression)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1h", 3600),
        ("1d 2h 3m 4s", 93_784),
        ("1d2h", 93_600),
        ("90 M", 5400),
        ("45s", 45),
        ("45", 45),
        (45, 45),
        (None, None),
    ],
)
def test_skip_delayed_by_is_a_duration_or_seconds(value: object, seconds: int | None) -> None:
    spec = parse_schedule({"daily>": "07:00:00", "skip_delayed_by": value}, "UTC")

    assert spec.skip_delayed_by == seconds


@pytest.mark.parametrize(("value", "meaning"), [(True, True), ("true", True), ("False", False), (None, False)])
def test_skip_on_overtime_is_a_yes_or_no(value: object, meaning: bool) -> None:
    spec = parse_schedule({"daily>": "07:00:00", "skip_on_overtime": value}, "UTC")

    assert spec.skip_on_overtime is meaning


DAILY = {"daily>": "07:00:00"}


@pytest.mark.parametrize(
    ("config", "catch_up", "overlap"),
    [
        ({}, "all", "allow"),
        ({"catch_up": "latest"}, "latest", "allow"),
        ({"catch_up": "none", "overlap": "cancel_running"}, "none", "cancel_running"),
        ({"overlap": "queue_one"}, "all", "queue_one"),
        ({"skip_on_overtime": True}, "all", "skip"),
        ({"skip_on_overtime": False}, "all", "allow"),
        ({"skip_on_overtime": True, "overlap": "skip"}, "all", "skip"),
        ({"skip_on_overtime": False, "overlap": "queue_one"}, "all", "queue_one"),
    ],
)
def test_catch_up_and_overlap(config: dict[str, object], catch_up: str, overlap: str) -> None:
    spec = parse_schedule(DAILY | config, "UTC")

    assert (spec.catch_up, spec.overlap) == (catch_up, overlap)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("daily", "is a mapping"),
        (None, "is a mapping"),
        ([DAILY], "is a mapping"),
        ({}, "exactly one kind"),
        ({"start": "2026-01-01"}, "exactly one kind"),
        (DAILY | {"cron>": "* * * * *"}, "exactly one kind"),
        ({"yearly>": "1"}, "Unknown kind of schedule 'yearly>'; there are hourly>, daily>"),
        (DAILY | {"skip_late": True}, "Unknown key 'skip_late' in schedule:; the keys are start, end"),
        (DAILY | {"timezone": "UTC"}, "Unknown key 'timezone'"),
        (DAILY | {7: 8}, "Unknown key int 7"),
        ({"daily>": 25200}, "daily>: takes text, not int 25200; put it in quotes"),
        ({"daily>": None}, "daily>: takes text"),
        ({"daily>": ["07:00:00"]}, "daily>: takes text"),
        ({"minutes_interval>": True}, "minutes_interval>: takes text"),
        ({"minutes_interval>": 2.5}, "minutes_interval>: takes text"),
        ({"minutes_interval>": 0}, "from 1 to 60"),
        ({"seconds_interval>": 10**6000}, "from 1 to"),
        ({"cron>": "0 0 30 2 *"}, "never fires"),
        (DAILY | {"delay": 30}, "delay: goes with cron>: only"),
        ({"cron>": "0 3 * * *", "delay": "soon"}, "delay: is a number of seconds"),
        ({"cron>": "0 3 * * *", "delay": -1}, "delay: is a number of seconds"),
        (DAILY | {"start": "2026-1-1"}, "start: is a date YYYY-MM-DD"),
        (DAILY | {"start": "20260101"}, "start: is a date YYYY-MM-DD"),
        (DAILY | {"start": "2026-02-30"}, "is not a day of the calendar"),
        (DAILY | {"start": "0000-01-01"}, "is not a day of the calendar"),
        (DAILY | {"start": "٢٠٢٦-01-01"}, "start: is a date YYYY-MM-DD"),
        (DAILY | {"end": 20260101}, "end: is a date YYYY-MM-DD"),
        (DAILY | {"end": datetime(2026, 1, 1, tzinfo=UTC)}, "end: is a date YYYY-MM-DD"),
        (DAILY | {"start": "2026-01-02", "end": "2026-01-01"}, "end: 2026-01-01 is before start: 2026-01-02"),
        (DAILY | {"skip_on_overtime": "yes"}, "skip_on_overtime: is true or false"),
        (DAILY | {"skip_on_overtime": 1}, "skip_on_overtime: is true or false"),
        (DAILY | {"catch_up": "newest"}, "catch_up: is one of all, latest, none, not"),
        (DAILY | {"catch_up": True}, "catch_up: is one of all, latest, none, not"),
        (DAILY | {"overlap": "queue"}, "overlap: is one of allow, skip, queue_one, cancel_running, not"),
        (DAILY | {"overlap": False}, "overlap: is one of allow, skip, queue_one, cancel_running, not"),
        (DAILY | {"overlap": "queue_one", "skip_on_overtime": True}, "say different things"),
        (DAILY | {"overlap": "skip", "skip_on_overtime": False}, "say different things"),
        (DAILY | {"skip_delayed_by": ""}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": "0s"}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": 0}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": -5}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": True}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": "2h 1d"}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": "1.5h"}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": "9" * 5000}, "skip_delayed_by: is a duration"),
        (DAILY | {"skip_delayed_by": "400d"}, "skip_delayed_by: is a duration"),
    ],
)
def test_a_refused_schedule_names_the_reason(config: object, reason: str) -> None:
    with pytest.raises(TimetableError) as refusal:
        parse_schedule(config, "UTC")  # type: ignore[arg-type]

    assert list(refusal.value.errors) == ["schedule"]
    assert reason in refusal.value.errors["schedule"][0]
    assert len(refusal.value.errors["schedule"][0]) < 300


def test_an_unknown_zone_is_an_error_of_the_zone() -> None:
    with pytest.raises(TimetableError) as refusal:
        parse_schedule({"daily>": "07:00:00"}, "Mars/Base")

    assert list(refusal.value.errors) == ["timezone"]
