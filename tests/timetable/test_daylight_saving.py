"""The rules of daylight saving: tables of literal instants, then every rule against a walk over real minutes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.timetable import Kind, Timetable

LA = "America/Los_Angeles"
LONDON = "Europe/London"
SAO_PAULO = "America/Sao_Paulo"
LORD_HOWE = "Australia/Lord_Howe"
APIA = "Pacific/Apia"
TOKYO = "Asia/Tokyo"

# zone, expression, [from, until) as local times, the sessions as local times
GOLDEN = [
    # The clocks go forward: fixed times move by the length of the gap, intervals have no such instant.
    (LA, "30 2 * * *", "2016-03-12T00:00-08:00", "2016-03-15T00:00-07:00",
     ["2016-03-12T02:30-08:00", "2016-03-13T03:30-07:00", "2016-03-14T02:30-07:00"]),
    (LA, "0 2 * * *", "2016-03-13T00:00-08:00", "2016-03-14T00:00-07:00", ["2016-03-13T03:00-07:00"]),
    (LA, "0 2,3 * * *", "2016-03-13T00:00-08:00", "2016-03-14T00:00-07:00", ["2016-03-13T03:00-07:00"]),
    (LA, "45 2,3 * * *", "2016-03-13T00:00-08:00", "2016-03-14T00:00-07:00", ["2016-03-13T03:45-07:00"]),
    (LA, "0,45 2,4 * * *", "2016-03-13T00:00-08:00", "2016-03-14T00:00-07:00",
     ["2016-03-13T03:00-07:00", "2016-03-13T03:45-07:00", "2016-03-13T04:00-07:00", "2016-03-13T04:45-07:00"]),
    (LA, "0 * * * *", "2016-03-13T01:00-08:00", "2016-03-13T05:00-07:00",
     ["2016-03-13T01:00-08:00", "2016-03-13T03:00-07:00", "2016-03-13T04:00-07:00"]),
    (LA, "0 2-3 * * *", "2016-03-13T00:00-08:00", "2016-03-14T00:00-07:00", ["2016-03-13T03:00-07:00"]),
    (LA, "*/30 2 * * *", "2016-03-13T00:00-08:00", "2016-03-15T00:00-07:00",
     ["2016-03-14T02:00-07:00", "2016-03-14T02:30-07:00"]),
    # The clocks go back: fixed times are the later instant, intervals have both.
    (LA, "30 1 * * *", "2016-11-05T00:00-07:00", "2016-11-08T00:00-08:00",
     ["2016-11-05T01:30-07:00", "2016-11-06T01:30-08:00", "2016-11-07T01:30-08:00"]),
    (LA, "0 1,2 * * *", "2016-11-06T00:00-07:00", "2016-11-07T00:00-08:00",
     ["2016-11-06T01:00-08:00", "2016-11-06T02:00-08:00"]),
    (LA, "0 * * * *", "2016-11-06T00:30-07:00", "2016-11-06T03:00-08:00",
     ["2016-11-06T01:00-07:00", "2016-11-06T01:00-08:00", "2016-11-06T02:00-08:00"]),
    (LA, "*/15 * * * *", "2016-11-06T00:30-07:00", "2016-11-06T02:15-08:00",
     ["2016-11-06T00:30-07:00", "2016-11-06T00:45-07:00",
      "2016-11-06T01:00-07:00", "2016-11-06T01:15-07:00", "2016-11-06T01:30-07:00", "2016-11-06T01:45-07:00",
      "2016-11-06T01:00-08:00", "2016-11-06T01:15-08:00", "2016-11-06T01:30-08:00", "2016-11-06T01:45-08:00",
      "2016-11-06T02:00-08:00"]),
    (LA, "*/30 1-3 * * *", "2016-11-06T00:00-07:00", "2016-11-06T03:00-08:00",
     ["2016-11-06T01:00-07:00", "2016-11-06T01:30-07:00", "2016-11-06T01:00-08:00", "2016-11-06T01:30-08:00",
      "2016-11-06T02:00-08:00", "2016-11-06T02:30-08:00"]),
    (LA, "30 * * * *", "2016-11-06T01:00-07:00", "2016-11-06T02:00-08:00",
     ["2016-11-06T01:30-07:00", "2016-11-06T01:30-08:00"]),
    (LONDON, "30 1 * * *", "2018-03-24T00:00+00:00", "2018-03-27T00:00+01:00",
     ["2018-03-24T01:30+00:00", "2018-03-25T02:30+01:00", "2018-03-26T01:30+01:00"]),
    (LONDON, "30 1 * * *", "2018-10-27T00:00+01:00", "2018-10-30T00:00+00:00",
     ["2018-10-27T01:30+01:00", "2018-10-28T01:30+00:00", "2018-10-29T01:30+00:00"]),
    (LONDON, "0 * * * *", "2018-03-25T00:00+00:00", "2018-03-25T04:00+01:00",
     ["2018-03-25T00:00+00:00", "2018-03-25T02:00+01:00", "2018-03-25T03:00+01:00"]),
    (LONDON, "0 * * * *", "2018-10-28T00:00+01:00", "2018-10-28T03:00+00:00",
     ["2018-10-28T00:00+01:00", "2018-10-28T01:00+01:00", "2018-10-28T01:00+00:00", "2018-10-28T02:00+00:00"]),
    # Half an hour of change.
    (LORD_HOWE, "15 2 * * *", "2018-10-06T00:00+10:30", "2018-10-09T00:00+11:00",
     ["2018-10-06T02:15+10:30", "2018-10-07T02:45+11:00", "2018-10-08T02:15+11:00"]),
    (LORD_HOWE, "15,30 2 * * *", "2018-10-07T00:00+10:30", "2018-10-08T00:00+11:00",
     ["2018-10-07T02:30+11:00", "2018-10-07T02:45+11:00"]),
    (LORD_HOWE, "0,30 2 * * *", "2018-10-07T00:00+10:30", "2018-10-08T00:00+11:00", ["2018-10-07T02:30+11:00"]),
    (LORD_HOWE, "0 * * * *", "2018-10-07T01:00+10:30", "2018-10-07T05:00+11:00",
     ["2018-10-07T01:00+10:30", "2018-10-07T03:00+11:00", "2018-10-07T04:00+11:00"]),
    (LORD_HOWE, "45 1 * * *", "2018-03-31T00:00+11:00", "2018-04-03T00:00+10:30",
     ["2018-03-31T01:45+11:00", "2018-04-01T01:45+10:30", "2018-04-02T01:45+10:30"]),
    (LORD_HOWE, "*/15 * * * *", "2018-04-01T01:15+11:00", "2018-04-01T02:15+10:30",
     ["2018-04-01T01:15+11:00", "2018-04-01T01:30+11:00", "2018-04-01T01:45+11:00", "2018-04-01T01:30+10:30",
      "2018-04-01T01:45+10:30", "2018-04-01T02:00+10:30"]),
    # Midnight itself does not exist, or the hour before it is shown twice.
    (SAO_PAULO, "0 0 * * *", "2018-11-03T00:00-03:00", "2018-11-06T00:00-02:00",
     ["2018-11-03T00:00-03:00", "2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"]),
    (SAO_PAULO, "0 * * * *", "2018-11-03T23:00-03:00", "2018-11-04T03:00-02:00",
     ["2018-11-03T23:00-03:00", "2018-11-04T01:00-02:00", "2018-11-04T02:00-02:00"]),
    (SAO_PAULO, "30 23 * * *", "2018-02-16T00:00-02:00", "2018-02-19T00:00-03:00",
     ["2018-02-16T23:30-02:00", "2018-02-17T23:30-03:00", "2018-02-18T23:30-03:00"]),
    (SAO_PAULO, "0 0 * * *", "2018-02-17T00:00-02:00", "2018-02-19T00:00-03:00",
     ["2018-02-17T00:00-02:00", "2018-02-18T00:00-03:00"]),
    (SAO_PAULO, "0 * * * *", "2018-02-17T22:00-02:00", "2018-02-18T01:00-03:00",
     ["2018-02-17T22:00-02:00", "2018-02-17T23:00-02:00", "2018-02-17T23:00-03:00", "2018-02-18T00:00-03:00"]),
    # A day that does not exist is a gap of 24 hours: its fixed times fall on the next day's.
    (APIA, "0 0 * * *", "2011-12-28T00:00-10:00", "2012-01-02T00:00+14:00",
     ["2011-12-28T00:00-10:00", "2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00", "2012-01-01T00:00+14:00"]),
    (APIA, "0 12 30 * *", "2011-12-01T00:00-10:00", "2012-02-01T00:00+14:00",
     ["2011-12-31T12:00+14:00", "2012-01-30T12:00+14:00"]),
    (APIA, "0 */12 * * *", "2011-12-29T00:00-10:00", "2012-01-01T00:00+14:00",
     ["2011-12-29T00:00-10:00", "2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"]),
    (APIA, "0 0-23/12 30 * *", "2011-12-01T00:00-10:00", "2012-01-31T00:00+14:00",
     ["2012-01-30T00:00+14:00", "2012-01-30T12:00+14:00"]),
    (APIA, "30 3 * * *", "2012-03-31T00:00+14:00", "2012-04-02T00:00+13:00",
     ["2012-03-31T03:30+14:00", "2012-04-01T03:30+13:00"]),
    # ... also where the next day is in the next year.
    ("Pacific/Kiritimati", "0 1,23 31 12 *", "1994-12-01T00:00-10:00", "1996-01-01T00:00+14:00",
     ["1995-01-01T01:00+14:00", "1995-01-01T23:00+14:00", "1995-12-31T01:00+14:00", "1995-12-31T23:00+14:00"]),
    # A range of one value is that value, so this is a fixed time.
    (LA, "30 1-1 * * *", "2016-11-06T00:00-07:00", "2016-11-07T00:00-08:00", ["2016-11-06T01:30-08:00"]),
    # No changes at all.
    (TOKYO, "0 0 * * *", "2018-03-24T00:00+09:00", "2018-03-27T00:00+09:00",
     ["2018-03-24T00:00+09:00", "2018-03-25T00:00+09:00", "2018-03-26T00:00+09:00"]),
    ("UTC", "30 2 * * *", "2016-03-12T00:00+00:00", "2016-03-14T00:00+00:00",
     ["2016-03-12T02:30+00:00", "2016-03-13T02:30+00:00"]),
]  # fmt: skip


def cron(expression: str, zone_name: str) -> Timetable:
    return Timetable(Kind.CRON, expression, zone_name)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(("zone_name", "expression", "start", "end", "expected"), GOLDEN)
def test_sessions_around_a_change_of_the_clocks(
    zone_name: str, expression: str, start: str, end: str, expected: list[str]
) -> None:
    timetable = cron(expression, zone_name)

    slots = list(timetable.between(moment(start), moment(end)))

    assert [timetable.local(slot.session_time).isoformat(timespec="minutes") for slot in slots] == expected
    assert all(slot.session_time == slot.run_time for slot in slots)


def test_two_local_times_on_one_instant_are_one_session_for_every_operation() -> None:
    timetable = cron("0 2,3 * * *", LA)
    only = moment("2016-03-13T03:00-07:00")

    before, at, after = timetable.previous(only), timetable.first(only), timetable.next(only)

    assert (before and before.session_time) == moment("2016-03-12T03:00-08:00")
    assert (at and at.session_time) == only
    assert (after and after.session_time) == moment("2016-03-14T02:00-07:00")


@pytest.mark.parametrize(
    ("kind", "expression", "session", "run"),
    [
        (Kind.DAILY, "07:00:00", "2016-03-13T00:00-08:00", "2016-03-13T08:00-07:00"),
        (Kind.DAILY, "07:00:00", "2016-11-06T00:00-07:00", "2016-11-06T06:00-08:00"),
        (Kind.WEEKLY, "Sun,02:30:00", "2016-03-13T00:00-08:00", "2016-03-13T03:30-07:00"),
        (Kind.MONTHLY, "13,01:00:00", "2016-03-13T00:00-08:00", "2016-03-13T01:00-08:00"),
        (Kind.HOURLY, "30:00", "2016-03-13T01:00-08:00", "2016-03-13T01:30-08:00"),
    ],
)
def test_the_run_is_a_fixed_number_of_real_seconds_after_the_session(
    kind: Kind, expression: str, session: str, run: str
) -> None:
    slot = Timetable(kind, expression, LA).next(moment(session) - timedelta(seconds=1))

    assert slot == (moment(session), moment(run))


@pytest.mark.parametrize(
    ("timetable", "session", "note"),
    [
        (cron("30 2 * * *", LA), "2016-03-13T03:30-07:00",
         "clocks went forward: 02:30 does not exist, ran as 03:30"),
        (cron("30 2 * * *", LA), "2016-03-14T02:30-07:00", None),
        (cron("0 * * * *", LA), "2016-03-13T03:00-07:00", None),
        (cron("0 0 30 * *", APIA), "2011-12-31T00:00+14:00",
         "clocks went forward: 2011-12-30 00:00 does not exist, ran as 2011-12-31 00:00"),
        (cron("0 * * * *", LA), "2016-11-06T01:00-07:00",
         "clocks went back: this hour occurs twice, this is the first 01:00"),
        (cron("30 1 * * *", LA), "2016-11-06T01:30-08:00",
         "clocks went back: this hour occurs twice, this is the second 01:30"),
        (Timetable(Kind.SECONDS, "1800", LA), "2016-11-06T01:30-08:00",
         "clocks went back: this hour occurs twice, this is the second 01:30"),
        (cron("0 2 * * *", LA), "2016-11-06T02:00-08:00", None),
        (Timetable(Kind.DAILY, "07:00:00", LA), "2016-03-13T00:00-08:00",
         "clocks went forward: runs at 08:00 instead of 07:00"),
        (Timetable(Kind.DAILY, "07:00:00", LA), "2016-11-06T00:00-07:00",
         "clocks went back: runs at 06:00 instead of 07:00"),
        (Timetable(Kind.DAILY, "01:00:00", LA), "2016-03-13T00:00-08:00", None),
        (Timetable(Kind.DAILY, "07:00:00", TOKYO), "2016-03-13T00:00+09:00", None),
        (cron("0 0 * * *", "UTC"), "9999-01-01T00:00+00:00", None),
    ],
)  # fmt: skip
def test_people_are_told_what_a_change_of_the_clocks_does(timetable: Timetable, session: str, note: str | None) -> None:
    assert timetable.shift(moment(session)) == note


# From here on: any expression, compared with a walk over every real minute around a change. -------------------

# zone, day of a change (or none)
CHANGES = [
    (LA, "2016-03-13"), (LA, "2016-11-06"),
    (LONDON, "2018-03-25"), (LONDON, "2018-10-28"),
    (SAO_PAULO, "2018-11-04"), (SAO_PAULO, "2018-02-18"),
    (LORD_HOWE, "2018-10-07"), (LORD_HOWE, "2018-04-01"),
    (APIA, "2011-12-30"), (APIA, "2012-04-01"), (APIA, "2012-09-30"),
    (TOKYO, "2018-03-25"), ("UTC", "2016-03-13"),
    ("Pacific/Kiritimati", "1994-12-31"),  # a missing day, and its times fall into the next year
    ("America/St_Johns", "2010-11-07"), ("America/St_Johns", "2010-03-14"),  # at 00:01, across midnight
    ("America/Havana", "2019-11-03"), ("America/Havana", "2019-03-10"),  # midnight is shown twice, or missing
    ("Antarctica/Casey", "2010-03-05"), ("Antarctica/Casey", "2011-10-28"),  # three hours
    ("Antarctica/Troll", "2018-03-25"), ("Africa/Casablanca", "2024-03-10"), ("Europe/Dublin", "2018-10-28"),
    ("Asia/Pyongyang", "2018-05-04"), ("Pacific/Chatham", "2018-04-01"),
]  # fmt: skip
AROUND = timedelta(days=2)
MARGIN = timedelta(days=2)
MINUTE = timedelta(minutes=1)

Wall = datetime  # naive: what the clock on the wall shows


@cache
def real_minutes(zone_name: str, day: str) -> list[tuple[datetime, Wall]]:
    """Every real minute around a day, with what the wall shows."""
    middle = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone_name), hour=12).astimezone(UTC)
    start, end = middle - AROUND - MARGIN, middle + AROUND + MARGIN
    count = (end - start) // MINUTE
    instants = [start + index * MINUTE for index in range(count)]
    return [(instant, instant.astimezone(ZoneInfo(zone_name)).replace(tzinfo=None)) for instant in instants]


Fields = tuple[set[int], set[int], set[int], set[int], set[int]]


def matches(fields: Fields, wall: Wall) -> bool:
    minutes, hours, days, months, weekdays = fields
    return (
        wall.minute in minutes
        and wall.hour in hours
        and wall.day in days
        and wall.month in months
        and wall.isoweekday() % 7 in weekdays
    )


def interval_oracle(fields: Fields, minutes: list[tuple[datetime, Wall]]) -> list[datetime]:
    return [instant for instant, wall in minutes if matches(fields, wall)]


def fixed_oracle(fields: Fields, minutes: list[tuple[datetime, Wall]]) -> list[datetime]:
    shown: dict[Wall, list[datetime]] = defaultdict(list)
    for instant, wall in minutes:
        shown[wall].append(instant)
    asked = list(shown)
    moved: dict[Wall, Wall] = {}
    for (_, before), (_, after) in pairwise(minutes):
        length = after - before - MINUTE
        if length > timedelta(0):
            for missing in walls_between(before + MINUTE, after):
                moved[missing] = missing + length
    instants = {max(shown[wall]) for wall in asked if matches(fields, wall)}
    instants |= {min(shown[to]) for missing, to in moved.items() if matches(fields, missing)}
    return sorted(instants)


def walls_between(start: Wall, end: Wall) -> Iterator[Wall]:
    while start < end:
        yield start
        start += MINUTE


@st.composite
def item(draw: st.DrawFn, low: int, high: int, *, spans: bool) -> tuple[str, set[int]]:
    """One item of a list, and its values written out the slow way."""
    first = draw(st.integers(low, high))
    shape = draw(st.sampled_from(["value", "value/step", "range", "range/step", "star", "star/step"]))
    step = draw(st.integers(1, 20))
    if shape == "value" or not spans:
        return str(first), {first}
    if shape == "value/step":
        return f"{first}/{step}", {first}
    last = draw(st.integers(low, high))
    cycle = list(range(low, high + 1))
    if shape.startswith("star"):
        text, values = "*", cycle
    else:
        start = cycle.index(first)
        turned = cycle[start:] + cycle[:start]
        text, values = f"{first}-{last}", turned[: turned.index(last) + 1]
    if shape.endswith("/step"):
        return f"{text}/{step}", {value for index, value in enumerate(values) if index % step == 0}
    return text, set(values)


@st.composite
def field(draw: st.DrawFn, low: int, high: int, *, spans: bool) -> tuple[str, set[int]]:
    items = draw(st.lists(item(low, high, spans=spans), min_size=1, max_size=3))
    return ",".join(text for text, _ in items), set().union(*(values for _, values in items))


@st.composite
def day_fields(draw: st.DrawFn) -> tuple[list[str], list[set[int]]]:
    """Mostly every day, so that a window of a few days has something in it."""
    texts, values = ["*", "*", "*"], [set(range(1, 32)), set(range(1, 13)), set(range(7))]
    which = draw(st.sampled_from([None, None, 0, 2]))
    if which is not None:
        texts[which], values[which] = draw(field(*[(1, 31), (1, 12), (0, 6)][which], spans=True))
    return texts, values


@st.composite
def fixed_expression(draw: st.DrawFn) -> tuple[str, Fields]:
    minute, hour = draw(field(0, 59, spans=False)), draw(field(0, 23, spans=False))
    texts, values = draw(day_fields())
    return " ".join([minute[0], hour[0], *texts]), (minute[1], hour[1], values[0], values[1], values[2])


def is_interval_like(expression: str) -> bool:
    """Written down a second time: a star, or a range between two values, in the minute or the hour."""
    items = ",".join(expression.split()[:2]).split(",")
    bodies = [text.split("/")[0] for text in items]
    return any(body == "*" or ("-" in body and len(set(body.split("-"))) == 2) for body in bodies)


@st.composite
def interval_expression(draw: st.DrawFn) -> tuple[str, Fields]:
    minute, hour = draw(field(0, 59, spans=True)), draw(field(0, 23, spans=True))
    texts, values = draw(day_fields())
    expression = " ".join([minute[0], hour[0], *texts])
    if not is_interval_like(expression):
        return f"{minute[0]} * {' '.join(texts)}", (minute[1], set(range(24)), values[0], values[1], values[2])
    return expression, (minute[1], hour[1], values[0], values[1], values[2])


def inside(instants: list[datetime], minutes: list[tuple[datetime, Wall]]) -> list[datetime]:
    start, end = minutes[0][0] + MARGIN, minutes[-1][0] - MARGIN
    return [instant for instant in instants if start <= instant < end]


def walked(timetable: Timetable, minutes: list[tuple[datetime, Wall]]) -> list[datetime]:
    start, end = minutes[0][0] + MARGIN, minutes[-1][0] - MARGIN
    return [slot.session_time for slot in timetable.between(start, end)]


@settings(max_examples=250, deadline=None, derandomize=True)
@given(expression=fixed_expression(), change=st.sampled_from(CHANGES))
def test_a_fixed_time_has_exactly_one_session(expression: tuple[str, Fields], change: tuple[str, str]) -> None:
    minutes = real_minutes(*change)

    sessions = walked(cron(expression[0], change[0]), minutes)

    assert sessions == inside(fixed_oracle(expression[1], minutes), minutes)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(expression=interval_expression(), change=st.sampled_from(CHANGES))
def test_an_interval_has_every_real_instant_that_matches(
    expression: tuple[str, Fields], change: tuple[str, str]
) -> None:
    minutes = real_minutes(*change)

    sessions = walked(cron(expression[0], change[0]), minutes)

    assert sessions == inside(interval_oracle(expression[1], minutes), minutes)


@pytest.mark.parametrize("zone_name", [LA, LONDON, SAO_PAULO, LORD_HOWE, APIA, TOKYO, "UTC"])
def test_a_session_every_minute_misses_and_repeats_none(zone_name: str) -> None:
    start = datetime(2011, 12, 28, tzinfo=UTC)
    end = start + timedelta(days=10)

    sessions = [slot.session_time for slot in cron("* * * * *", zone_name).between(start, end)]

    assert sessions == [start + index * MINUTE for index in range(10 * 24 * 60)]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    expression=st.one_of(fixed_expression(), interval_expression()),
    change=st.sampled_from(CHANGES),
    offset=st.integers(-3 * 86_400, 3 * 86_400),
)
def test_walking_in_bulk_and_step_by_step_and_backwards_agree(
    expression: tuple[str, Fields], change: tuple[str, str], offset: int
) -> None:
    timetable = cron(expression[0], change[0])
    start = moment(f"{change[1]}T00:00+00:00") + timedelta(seconds=offset)

    bulk = [slot.session_time for slot in islice(timetable.between(start, None), 40)]

    assert all(one < other for one, other in pairwise(bulk))
    assert bulk == list(stepped(timetable, start, len(bulk)))
    for one, other in pairwise(bulk):
        previous = timetable.previous(other)
        assert previous is not None
        assert previous.session_time == one


def stepped(timetable: Timetable, start: datetime, count: int) -> Iterator[datetime]:
    slot = timetable.first(start)
    for _ in range(count):
        assert slot is not None
        yield slot.session_time
        slot = timetable.next(slot.session_time)
