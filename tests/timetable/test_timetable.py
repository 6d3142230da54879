"""The seven kinds, the four questions, and the ends of the calendar."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.timetable import NEVER, Kind, Slot, Timetable, TimetableError

TOKYO = "Asia/Tokyo"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def slot(session_time: str, run_time: str | None = None) -> Slot:
    return Slot(moment(session_time), moment(run_time or session_time))


def daily(**fields: object) -> Timetable:
    return dataclasses.replace(Timetable(Kind.DAILY, "10:00:00", TOKYO), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "expression", "expected"),
    [
        (Kind.HOURLY, "30:00", slot("2026-03-02T10:00+09:00", "2026-03-02T10:30+09:00")),
        (Kind.HOURLY, "0:5", slot("2026-03-02T10:00+09:00", "2026-03-02T10:00:05+09:00")),
        (Kind.DAILY, "10:00:00", slot("2026-03-02T00:00+09:00", "2026-03-02T10:00+09:00")),
        (Kind.DAILY, "07:00:00", slot("2026-03-03T00:00+09:00", "2026-03-03T07:00+09:00")),
        (Kind.DAILY, "25:00:00", slot("2026-03-02T00:00+09:00", "2026-03-03T01:00+09:00")),
        (Kind.WEEKLY, "Sun,07:00:00", slot("2026-03-08T00:00+09:00", "2026-03-08T07:00+09:00")),
        (Kind.WEEKLY, "1, 10:00:00", slot("2026-03-02T00:00+09:00", "2026-03-02T10:00+09:00")),
        (Kind.WEEKLY, "7,07:00:00", slot("2026-03-08T00:00+09:00", "2026-03-08T07:00+09:00")),
        (Kind.MONTHLY, "1,07:00:00", slot("2026-04-01T00:00+09:00", "2026-04-01T07:00+09:00")),
        (Kind.MONTHLY, "31,07:00:00", slot("2026-03-31T00:00+09:00", "2026-03-31T07:00+09:00")),
        (Kind.MINUTES, "7", slot("2026-03-02T10:00+09:00")),
        (Kind.MINUTES, "60", slot("2026-03-02T10:00+09:00")),
        (Kind.SECONDS, "90", slot("2026-03-02T01:00:00+00:00")),
        (Kind.SECONDS, "7", slot("2026-03-02T01:00:02+00:00")),
        (Kind.CRON, "0 3 * * 1", slot("2026-03-09T03:00+09:00")),
    ],
)
def test_each_kind_from_ten_o_clock_in_tokyo_on_a_monday(kind: Kind, expression: str, expected: Slot) -> None:
    timetable = Timetable(kind, expression, TOKYO)

    assert timetable.first(moment("2026-03-02T10:00+09:00")) == expected


def test_first_compares_run_times() -> None:
    timetable = daily()
    ten = moment("2026-03-02T10:00+09:00")

    at = timetable.first(ten)
    just_after = timetable.first(ten + timedelta(microseconds=1))
    just_before = timetable.first(ten - timedelta(microseconds=1))

    assert at == slot("2026-03-02T00:00+09:00", "2026-03-02T10:00+09:00")
    assert just_after == slot("2026-03-03T00:00+09:00", "2026-03-03T10:00+09:00")
    assert just_before == at


def test_next_and_previous_compare_session_times_and_exclude_the_one_given() -> None:
    timetable = daily()
    midnight = moment("2026-03-02T00:00+09:00")

    assert timetable.next(midnight) == slot("2026-03-03T00:00+09:00", "2026-03-03T10:00+09:00")
    assert timetable.next(midnight - timedelta(microseconds=1)) == slot(
        "2026-03-02T00:00+09:00", "2026-03-02T10:00+09:00"
    )
    assert timetable.previous(midnight) == slot("2026-03-01T00:00+09:00", "2026-03-01T10:00+09:00")
    assert timetable.previous(midnight + timedelta(microseconds=1)) == slot(
        "2026-03-02T00:00+09:00", "2026-03-02T10:00+09:00"
    )


def test_between_includes_its_start_and_excludes_its_end() -> None:
    timetable = Timetable(Kind.HOURLY, "30:00", "UTC")

    slots = list(timetable.between(moment("2026-03-02T01:00+00:00"), moment("2026-03-02T03:00+00:00")))

    assert slots == [
        slot("2026-03-02T01:00+00:00", "2026-03-02T01:30+00:00"),
        slot("2026-03-02T02:00+00:00", "2026-03-02T02:30+00:00"),
    ]


def test_between_is_lazy_and_an_empty_or_backward_range_gives_nothing() -> None:
    timetable = Timetable(Kind.SECONDS, "1", "UTC")
    at = moment("2026-03-02T01:00+00:00")

    assert next(timetable.between(at, None)) == Slot(at, at)
    assert list(timetable.between(at, at)) == []
    assert list(timetable.between(at, at - timedelta(days=1))) == []


def test_cron_runs_its_delay_after_the_session() -> None:
    timetable = Timetable(Kind.CRON, "0 3 * * *", "UTC", delay=90)

    assert timetable.first(moment("2026-03-02T03:01:30+00:00")) == slot(
        "2026-03-02T03:00+00:00", "2026-03-02T03:01:30+00:00"
    )
    assert timetable.first(moment("2026-03-02T03:01:31+00:00")) == slot(
        "2026-03-03T03:00+00:00", "2026-03-03T03:01:30+00:00"
    )


def test_seconds_are_multiples_since_1970_in_every_zone() -> None:
    start = moment("2016-03-13T09:59:50+00:00")

    for zone_name in ("UTC", "America/Los_Angeles", "Australia/Lord_Howe"):
        slots = islice(Timetable(Kind.SECONDS, "25", zone_name).between(start, None), 50)
        assert all(one.session_time.timestamp() % 25 == 0 for one in slots)


def test_start_and_end_are_local_days_and_bound_the_run_time() -> None:
    timetable = daily(start_date=date(2026, 3, 2), end_date=date(2026, 3, 3))

    slots = list(timetable.between(moment("2026-01-01T00:00+00:00"), None))

    assert slots == [
        slot("2026-03-02T00:00+09:00", "2026-03-02T10:00+09:00"),
        slot("2026-03-03T00:00+09:00", "2026-03-03T10:00+09:00"),
    ]
    assert timetable.first(moment("2026-01-01T00:00+00:00")) == slots[0]
    assert timetable.first(moment("2026-03-03T10:00+09:00")) == slots[1]
    assert timetable.first(moment("2026-03-03T10:00:01+09:00")) is None
    assert timetable.next(moment("2025-01-01T00:00+09:00")) == slots[0]
    assert timetable.next(slots[1].session_time) is None


def test_a_run_after_the_end_day_is_out_though_its_session_is_within() -> None:
    timetable = Timetable(Kind.DAILY, "25:00:00", TOKYO, start_date=date(2026, 3, 2), end_date=date(2026, 3, 2))

    assert list(timetable.between(moment("2026-01-01T00:00+00:00"), None)) == [
        slot("2026-03-01T00:00+09:00", "2026-03-02T01:00+09:00")
    ]


def test_previous_ignores_start_and_end() -> None:
    timetable = daily(start_date=date(2026, 3, 2), end_date=date(2026, 3, 3))

    assert timetable.previous(moment("2020-01-01T00:00+09:00")) == slot(
        "2019-12-31T00:00+09:00", "2019-12-31T10:00+09:00"
    )
    assert timetable.previous(moment("2030-01-01T00:00+09:00")) == slot(
        "2029-12-31T00:00+09:00", "2029-12-31T10:00+09:00"
    )


@pytest.mark.parametrize(
    ("zone_name", "day", "first", "after"),
    [
        # Midnight does not exist: the day begins at 01:00.
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"),
        # Midnight is shown twice: the day begins with the earlier one.
        ("America/Havana", date(2019, 11, 3), "2019-11-03T00:00-04:00", "2019-11-04T00:00-05:00"),
        # The day does not exist: it begins where the next one does.
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-31T00:00+14:00", "2011-12-31T00:00+14:00"),
    ],
)
def test_a_local_day_begins_at_its_first_instant(zone_name: str, day: date, first: str, after: str) -> None:
    every_minute = Timetable(Kind.CRON, "* * * * *", zone_name)

    starting = dataclasses.replace(every_minute, start_date=day)
    ending = dataclasses.replace(every_minute, end_date=day)

    assert starting.first(moment("2010-01-01T00:00+00:00")) == slot(first)
    before_the_end = moment(after) - timedelta(minutes=1)
    assert ending.first(before_the_end) == Slot(before_the_end, before_the_end)
    assert ending.first(moment(after)) is None


def test_an_end_before_any_slot_is_answered_at_once() -> None:
    timetable = Timetable(Kind.CRON, "0 0 29 2 *", "UTC", start_date=date(2025, 3, 1), end_date=date(2028, 2, 28))

    assert timetable.first(moment("2025-01-01T00:00+00:00")) is None
    assert list(timetable.between(moment("0001-01-02T00:00+00:00"), None)) == []


@pytest.mark.parametrize("zone_name", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Los_Angeles"])
@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        (Kind.DAILY, "99:59:59"),
        (Kind.SECONDS, "1"),
        (Kind.SECONDS, "31622400"),
        (Kind.CRON, "* * * * *"),
        (Kind.CRON, "0 0 29 2 1"),
    ],
)
def test_the_ends_of_the_calendar_give_a_slot_or_none(kind: Kind, expression: str, zone_name: str) -> None:
    timetable = Timetable(kind, expression, zone_name)
    farthest = [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        NEVER,
    ]

    early, late = farthest[:2], farthest[2:]

    assert all(timetable.first(at) is not None and timetable.next(at) is not None for at in early)
    assert all(timetable.previous(at) is None and timetable.shift(at) is None for at in early)
    assert all(timetable.first(at) is None and timetable.next(at) is None for at in late)
    assert all(timetable.previous(at) is not None and timetable.shift(at) is None for at in late)
    assert all(list(timetable.between(at, None)) == [] for at in late)
    assert all(timetable.local(at) == at for at in farthest)


def test_dates_at_the_ends_of_the_calendar_are_no_bound_or_never() -> None:
    at = moment("2026-03-02T00:00+00:00")

    assert daily(end_date=date.max).first(at) == daily().first(at)
    assert daily(start_date=date.min).first(at) == daily().first(at)
    assert daily(start_date=date.max).first(at) is None
    assert daily(end_date=date.min).first(at) is None


def test_a_moment_without_a_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError):
        daily().first(datetime(2026, 3, 2))  # noqa: DTZ001 - the mistake


def test_local_shows_the_offset_of_the_zone() -> None:
    timetable = Timetable(Kind.HOURLY, "00:00", "America/Los_Angeles")

    first, second = (timetable.local(moment(text)) for text in ("2016-11-06T08:30+00:00", "2016-11-06T09:30+00:00"))

    assert (first.isoformat(), first.fold) == ("2016-11-06T01:30:00-07:00", 0)
    assert (second.isoformat(), second.fold) == ("2016-11-06T01:30:00-08:00", 1)


@pytest.mark.parametrize(
    ("timetable", "description"),
    [
        (Timetable(Kind.HOURLY, "30:00", TOKYO), "hourly at minute 30"),
        (Timetable(Kind.HOURLY, "5:30", TOKYO), "hourly at minute 05:30"),
        (Timetable(Kind.DAILY, "07:00:00", TOKYO), "daily at 07:00 Asia/Tokyo"),
        (Timetable(Kind.DAILY, "07:00:30", TOKYO), "daily at 07:00:30 Asia/Tokyo"),
        (Timetable(Kind.DAILY, "25:00:00", TOKYO), "daily at 01:00 1 day later Asia/Tokyo"),
        (Timetable(Kind.WEEKLY, "Sun,07:00:00", TOKYO), "weekly on Sunday at 07:00 Asia/Tokyo"),
        (Timetable(Kind.MONTHLY, "1,07:00:00", TOKYO), "monthly on day 1 at 07:00 Asia/Tokyo"),
        (Timetable(Kind.MINUTES, "5", TOKYO), "every 5 minutes"),
        (Timetable(Kind.MINUTES, "1", TOKYO), "every minute"),
        (Timetable(Kind.SECONDS, "30", TOKYO), "every 30 seconds"),
        (Timetable(Kind.CRON, " 0  3 * * 1", TOKYO), "cron 0 3 * * 1"),
        (Timetable(Kind.CRON, "0 3 * * 1", TOKYO, delay=30), "cron 0 3 * * 1, 30 s later"),
    ],
)
def test_a_timetable_describes_itself(timetable: Timetable, description: str) -> None:
    assert timetable.describe() == description


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "yearly"}, "Unknown kind of schedule 'yearly'"),
        ({"kind": None}, "Unknown kind of schedule"),
        ({"expression": 25200}, "takes text"),
        ({"expression": None}, "takes text"),
        ({"expression": ""}, "such as '07:00:00'"),
        ({"expression": "7:00"}, "HH:MM:SS"),
        ({"expression": "07:60:00"}, "HH:MM:SS"),
        ({"expression": "07:00:60"}, "HH:MM:SS"),
        ({"expression": "-1:00:00"}, "HH:MM:SS"),
        ({"expression": "007:00:00"}, "HH:MM:SS"),
        ({"expression": "٠٧:00:00"}, "HH:MM:SS"),
        ({"expression": "x" * 100_000}, "HH:MM:SS"),
        ({"kind": Kind.HOURLY, "expression": "00:30:00"}, "MM:SS"),
        ({"kind": Kind.HOURLY, "expression": "60:00"}, "MM:SS"),
        ({"kind": Kind.WEEKLY, "expression": "07:00:00"}, "Sun to Sat"),
        ({"kind": Kind.WEEKLY, "expression": "Sunday,07:00:00"}, "Sun to Sat"),
        ({"kind": Kind.WEEKLY, "expression": "8,07:00:00"}, "Sun to Sat"),
        ({"kind": Kind.WEEKLY, "expression": "-1,07:00:00"}, "Sun to Sat"),
        ({"kind": Kind.WEEKLY, "expression": "Sun"}, "Sun to Sat"),
        ({"kind": Kind.MONTHLY, "expression": "0,07:00:00"}, "day of the month"),
        ({"kind": Kind.MONTHLY, "expression": "32,07:00:00"}, "day of the month"),
        ({"kind": Kind.MONTHLY, "expression": "L,07:00:00"}, "day of the month"),
        ({"kind": Kind.MINUTES, "expression": "0"}, "from 1 to 60"),
        ({"kind": Kind.MINUTES, "expression": "90"}, "from 1 to 60"),
        ({"kind": Kind.MINUTES, "expression": "-5"}, "from 1 to 60"),
        ({"kind": Kind.MINUTES, "expression": "5.0"}, "from 1 to 60"),
        ({"kind": Kind.SECONDS, "expression": "0"}, "from 1 to"),
        ({"kind": Kind.SECONDS, "expression": "9" * 5000}, "from 1 to"),
        ({"delay": 30}, "goes with cron>: only"),
        ({"kind": Kind.CRON, "expression": "* * * * *", "delay": -1}, "delay: is a number of seconds"),
        ({"kind": Kind.CRON, "expression": "* * * * *", "delay": 10**9}, "delay: is a number of seconds"),
        ({"kind": Kind.CRON, "expression": "* * * * *", "delay": True}, "delay: is a number of seconds"),
        ({"start_date": "2026-01-01"}, "start: is a date"),
        ({"end_date": datetime(2026, 1, 1, tzinfo=UTC)}, "end: is a date"),
        ({"start_date": date(2026, 1, 2), "end_date": date(2026, 1, 1)}, "is before start"),
    ],
)
def test_values_that_are_no_timetable_are_refused_with_the_reason(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(TimetableError) as refusal:
        daily(**fields)

    assert list(refusal.value.errors) == ["schedule"]
    assert reason in refusal.value.errors["schedule"][0]
    assert len(refusal.value.errors["schedule"][0]) < 300


def test_one_day_is_a_timetable_and_text_names_a_kind() -> None:
    timetable = daily(kind="daily", start_date=date(2026, 3, 2), end_date=date(2026, 3, 2))

    assert timetable.kind is Kind.DAILY
    assert len(list(timetable.between(moment("2026-01-01T00:00+00:00"), None))) == 1


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    timetable=st.sampled_from(
        [
            Timetable(kind, expression, zone_name)
            for zone_name in ("UTC", "America/Los_Angeles", "Australia/Lord_Howe", "Pacific/Apia")
            for kind, expression in (
                (Kind.HOURLY, "30:00"),
                (Kind.DAILY, "07:00:00"),
                (Kind.WEEKLY, "Sat,25:00:00"),
                (Kind.MONTHLY, "31,00:00:00"),
                (Kind.MINUTES, "7"),
                (Kind.SECONDS, "7200"),
                (Kind.CRON, "0 0 29 2 *"),
            )
        ]
    ),
    at=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_first_next_previous_and_between_tell_one_story(timetable: Timetable, at: datetime) -> None:
    first = timetable.first(at)
    assert first is not None

    following = timetable.next(first.session_time)
    before = timetable.previous(first.session_time)

    assert following is not None
    assert before is not None
    assert before.run_time < at <= first.run_time
    assert before.session_time < first.session_time < following.session_time
    assert timetable.previous(following.session_time) == first
    assert timetable.next(before.session_time) == first
    assert list(islice(timetable.between(before.session_time, None), 3)) == [before, first, following]
