from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.web.times import duration, local_text, moment, relative, utc_text, zone_or_utc

NOON = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_a_time_shows_its_local_digits_and_its_offset_with_a_true_minus() -> None:
    assert local_text(NOON, ZoneInfo("America/Los_Angeles")) == "2026-11-23 00:00 −08:00"


def test_a_half_hour_offset_is_written_out() -> None:
    assert local_text(NOON, ZoneInfo("Asia/Kolkata")) == "2026-11-23 13:30 +05:30"


def test_seconds_are_shown_only_when_there_are_some() -> None:
    assert utc_text(NOON) == "2026-11-23 08:00 UTC"
    assert utc_text(NOON + timedelta(seconds=7)) == "2026-11-23 08:00:07 UTC"


def test_the_edges_of_the_calendar_are_shown_in_utc() -> None:
    assert local_text(datetime.max.replace(tzinfo=UTC), ZoneInfo("Asia/Tokyo")) == "9999-12-31 23:59:59 +00:00"


def test_a_moment_carries_utc_and_the_distance_from_now() -> None:
    shown = moment(NOON, ZoneInfo("Asia/Tokyo"), NOON - timedelta(minutes=4))

    assert shown is not None
    assert (shown.local, shown.utc, shown.relative) == ("2026-11-23 17:00 +09:00", "2026-11-23 08:00 UTC", "in 4 min")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "now"), (40, "in 40 s"), (-40, "40 s ago"), (3 * 3600, "in 3 h"), (-5 * 86_400, "5 days ago")],
)
def test_relative_times_use_one_unit(seconds: float, text: str) -> None:
    assert relative(NOON + timedelta(seconds=seconds), NOON) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.042, "42 ms"), (3.21, "3.2 s"), (12, "12 s"), (249, "4 min 09 s"), (3840, "1 h 04 m"), (-5, "0 ms")],
)
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


def test_a_zone_that_is_none_is_shown_as_utc() -> None:
    assert zone_or_utc("Mars/Olympus") is UTC
