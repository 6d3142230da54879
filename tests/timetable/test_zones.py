"""Which names are time zones, and that zones as arithmetic agree with zoneinfo."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.timetable import TimetableError, zone
from scheduler.timetable.wall import floor_instant, segment_at, year_segments

ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})


@pytest.mark.parametrize("name", ["UTC", "Europe/London", "US/Pacific", "America/Argentina/Ushuaia", "Etc/GMT+5"])
def test_iana_names_are_zones(name: str) -> None:
    assert zone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "Mars/Base", "europe/london", "UTC ", "PST8PDT/..", "JST", "+09:00", "UTC+9",
        "localtime", "posixrules", "Factory",
        "../../etc/passwd", "/etc/localtime", "/usr/share/zoneinfo/UTC", "Europe/../Europe/London", "Europe/",
        "Europe", "Europe//London", "posix/UTC", "right/UTC", "zone.tab", "tzdata.zi",
        "America/New_York\0", "\0", "Europe/L\N{LATIN SMALL LETTER O WITH DIAERESIS}ndon", "x" * 65, "x" * 10**6,
        None, 9, b"UTC",
    ],
)  # fmt: skip
def test_everything_else_is_refused_as_a_zone(name: object) -> None:
    with pytest.raises(TimetableError) as refusal:
        zone(name)  # type: ignore[arg-type]

    assert list(refusal.value.errors) == ["timezone"]
    assert re.search(r"IANA name such as 'Europe/London'|did you mean '[\w/-]+'\?", refusal.value.errors["timezone"][0])
    assert len(refusal.value.errors["timezone"][0]) < 200


def test_a_zone_with_a_slip_is_told_the_right_one() -> None:
    with pytest.raises(TimetableError, match=r"Unknown time zone 'Asia/Tokio'; did you mean 'Asia/Tokyo'\?"):
        zone("Asia/Tokio")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(ZONES),
    at=st.datetimes(datetime(1850, 1, 1), datetime(2110, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_offset_of_any_instant_is_the_one_of_zoneinfo(name: str, at: datetime) -> None:
    segment = segment_at(name, floor_instant(at))

    assert timedelta(seconds=segment.offset) == at.astimezone(ZoneInfo(name)).utcoffset()


@pytest.mark.parametrize(
    ("name", "day"),
    [("America/Recife", datetime(2000, 10, 1, tzinfo=UTC)), ("America/Boa_Vista", datetime(2000, 10, 1, tzinfo=UTC))],
)
def test_a_change_that_is_taken_back_within_days_is_not_stepped_over(name: str, day: datetime) -> None:
    hours = [day + timedelta(hours=hour) for hour in range(24 * 20)]

    offsets = [timedelta(seconds=segment_at(name, floor_instant(hour)).offset) for hour in hours]

    assert offsets == [hour.astimezone(ZoneInfo(name)).utcoffset() for hour in hours]
    assert len(set(offsets)) == 2


@settings(max_examples=100, deadline=None, derandomize=True)
@given(name=st.sampled_from(ZONES), year=st.integers(1850, 2100))
def test_the_segments_of_a_year_follow_each_other_without_a_hole(name: str, year: int) -> None:
    segments = year_segments(name, year)

    assert segments[0].start == floor_instant(datetime(year, 1, 1, tzinfo=UTC))
    assert segments[-1].end == floor_instant(datetime(year + 1, 1, 1, tzinfo=UTC))
    for one, other in pairwise(segments):
        assert (one.end, one.after) == (other.start, other.offset)
        assert one.offset != other.offset
