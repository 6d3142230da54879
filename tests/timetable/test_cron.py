"""The grammar of cron expressions: what a text means, what is refused and with which words."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from croniter import croniter
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.errors import InvalidInput
from scheduler.timetable import Kind, Timetable, TimetableError

# A Sunday, the first of a month, in a zone whose clocks never change.
START = datetime(2018, 7, 1, tzinfo=UTC)


def cron(expression: str, zone_name: str = "UTC") -> Timetable:
    return Timetable(Kind.CRON, expression, zone_name)


def session_times(expression: str, count: int, start: datetime = START) -> list[datetime]:
    return [slot.session_time for slot in islice(cron(expression).between(start, None), count)]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("5/15 0 1 1 *", [5]),  # a step after one value takes that value alone
        ("59/15 0 1 1 *", [59]),
        ("5-5 0 1 1 *", [5]),  # equal ends are one value
        ("5-5/2 0 1 1 *", [5]),
        ("*/20 0 1 1 *", [0, 20, 40]),
        ("*/61 0 1 1 *", [0]),
        ("50-10/5 0 1 1 *", [0, 5, 10, 50, 55]),  # past the end of the hour, and on from there
        ("55-5/4 0 1 1 *", [3, 55, 59]),
        ("3-10/3 0 1 1 *", [3, 6, 9]),
        ("30,10,10,20 0 1 1 *", [10, 20, 30]),
        ("05 0 1 1 *", [5]),
        ("*,5 0 1 1 *", list(range(60))),
    ],
)
def test_minutes(expression: str, values: list[int]) -> None:
    year = list(cron(expression).between(datetime(2018, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)))

    assert [slot.session_time.minute for slot in year] == values


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("0 22-2 1 1 *", [0, 1, 2, 22, 23]),
        ("0 22-2/2 1 1 *", [0, 2, 22]),
        ("0 */7 1 1 *", [0, 7, 14, 21]),
        ("0 9-17/4 1 1 *", [9, 13, 17]),
    ],
)
def test_hours(expression: str, values: list[int]) -> None:
    year = list(cron(expression).between(datetime(2018, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)))

    assert [slot.session_time.hour for slot in year] == values


@pytest.mark.parametrize(
    ("field", "weekdays"),
    [
        ("0-7", [0]),  # from Sunday to Sunday: Sunday alone
        ("7", [0]),
        ("0", [0]),
        ("7-7", [0]),
        ("5-7", [0, 5, 6]),
        ("1-7", [0, 1, 2, 3, 4, 5, 6]),
        ("fri-mon", [0, 1, 5, 6]),
        ("FRI-Mon/2", [0, 5]),
        ("sun-sat", [0, 1, 2, 3, 4, 5, 6]),
        ("*/2", [0, 2, 4, 6]),
        ("mon,wed,5", [1, 3, 5]),
        ("6-2", [0, 1, 2, 6]),
    ],
)
def test_days_of_week(field: str, weekdays: list[int]) -> None:
    week = cron(f"0 0 * * {field}").between(START, START + timedelta(days=7))

    assert [slot.session_time.isoweekday() % 7 for slot in week] == weekdays


@pytest.mark.parametrize(
    ("field", "months"),
    [
        ("jan-jan", [1]),
        ("nov-feb", [1, 2, 11, 12]),
        ("oct-mar/2", [2, 10, 12]),
        ("*/5", [1, 6, 11]),
        ("DEC,jun", [6, 12]),
    ],
)
def test_months(field: str, months: list[int]) -> None:
    year = cron(f"0 0 1 {field} *").between(datetime(2018, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC))

    assert [slot.session_time.month for slot in year] == months


@pytest.mark.parametrize(
    ("expression", "start", "dates"),
    [
        ("0 0 L * *", "2019-12-01", ["2019-12-31", "2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]),
        ("0 0 l 2 *", "2018-01-01", ["2018-02-28", "2019-02-28", "2020-02-29"]),
        ("0 0 15,L 2 *", "2018-01-01", ["2018-02-15", "2018-02-28", "2019-02-15"]),
        ("0 0 28,L 2 *", "2018-01-01", ["2018-02-28", "2019-02-28", "2020-02-28", "2020-02-29"]),
        # Day of month AND day of week.
        ("0 0 13 * 5", "2018-07-01", ["2018-07-13", "2019-09-13", "2019-12-13", "2020-03-13"]),
        ("0 0 */2 * 1", "2018-09-01", ["2018-09-03", "2018-09-17", "2018-10-01", "2018-10-15"]),
        ("0 0 1-7 * mon", "2018-09-01", ["2018-09-03", "2018-10-01", "2018-11-05"]),
        ("0 0 L * 5", "2018-01-01", ["2018-08-31", "2018-11-30", "2019-05-31"]),
        # Where a list mixes 31 with other days, none is missed.
        ("0 0 1,31 * *", "2018-02-02", ["2018-03-01", "2018-03-31", "2018-04-01", "2018-05-01", "2018-05-31"]),
        # Rare days are found without end of patience, also across 2100, which has no 29 February.
        ("0 0 29 2 *", "2096-03-01", ["2104-02-29", "2108-02-29"]),
        ("0 0 29 2 1", "2018-01-01", ["2044-02-29", "2072-02-29"]),
        ("0 0 29 2 1", "2073-01-01", ["2112-02-29"]),
    ],
)
def test_days(expression: str, start: str, dates: list[str]) -> None:
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)

    times = session_times(expression, len(dates), first)

    assert [moment.date() for moment in times] == [date.fromisoformat(text) for text in dates]


@pytest.mark.parametrize(
    ("expression", "zone_name", "session"),
    [
        # 31 December on a Monday: by UTC already the next year.
        ("30 23 31 12 1", "America/Los_Angeles", "2018-12-31T23:30-08:00"),
        # 1 January on a Tuesday: by UTC still the year before.
        ("0 0 1 1 2", "Asia/Tokyo", "2019-01-01T00:00+09:00"),
    ],
)
def test_a_rare_day_at_the_turn_of_the_year_is_found(expression: str, zone_name: str, session: str) -> None:
    slot = cron(expression, zone_name).first(datetime(2015, 1, 1, tzinfo=UTC))

    assert slot is not None
    assert slot.session_time == datetime.fromisoformat(session)


def test_white_space_around_and_between_fields_does_not_matter() -> None:
    assert session_times("  0\t3  * *   1 \n", 3) == session_times("0 3 * * 1", 3)


REFUSED = [
    ("", "has 0"),
    ("* * * *", "has 4"),
    ("0 0 * * * *", "has 6. Fields for seconds and years are not read"),
    ("0 0 0 1 1 * 2030", "has 7. Fields for seconds and years are not read"),
    ("@daily", "write five fields"),
    ("@reboot", "write five fields"),
    ("@every 5m", "write five fields"),
    ("0 5 * * *|8 10 * * *", "'|' between two is not read"),
    ("60 * * * *", "minute field has '60'; values are 0 to 59"),
    ("* 24 * * *", "hour field has '24'; values are 0 to 23"),
    ("0 0 0 * *", "day of month field has '0'; values are 1 to 31"),
    ("0 0 32 * *", "values are 1 to 31"),
    ("0 0 1 13 *", "month field has '13'; values are 1 to 12"),
    ("0 0 * * 8", "day of week field has '8'; values are 0 to 7"),
    ("5-60 * * * *", "values are 0 to 59"),
    ("*/0 * * * *", "a step is 1 or more"),
    ("1-5/0 * * * *", "a step is 1 or more"),
    ("-5 * * * *", "negative numbers are not read"),
    ("1,,2 * * * *", "has an empty item"),
    (",1 * * * *", "has an empty item"),
    ("1, * * * *", "has an empty item"),
    (", * * * *", "has an empty item"),
    ("1/ * * * *", "a step is one number"),
    ("*/ * * * *", "a step is one number"),
    ("1//2 * * * *", "a step is one number"),
    ("*/5/2 * * * *", "a step is one number"),
    ("*/x * * * *", "a step is one number"),
    ("1- * * * *", "values are 0 to 59"),
    ("1-2-3 * * * *", "values are 0 to 59"),
    ("*-5 * * * *", "values are 0 to 59"),
    ("** * * * *", "values are 0 to 59"),
    ("1.5 * * * *", "values are 0 to 59"),
    ("+5 * * * *", "values are 0 to 59"),
    ("jan * * * *", "values are 0 to 59"),
    ("0 0 * mon *", "values are 1 to 12 or jan to dec"),
    ("0 0 * january *", "values are 1 to 12 or jan to dec"),
    ("0 0 * * sunday", "values are 0 to 7 or sun to sat"),
    ("R R * * *", "times by chance"),
    ("R(0-5) 0 * * *", "times by chance"),
    ("H * * * *", "times by chance"),
    ("H/15 * * * *", "times by chance"),
    ("H(0-30) * * * *", "times by chance"),
    ("0 0 15W * *", "nearest weekday"),
    ("0 0 W1 * *", "nearest weekday"),
    ("0 0 LW * *", "nearest weekday"),
    ("0 0 * * 5#3", "n-th weekday"),
    ("0 0 * * mon#1", "n-th weekday"),
    ("0 0 ? * *", "write '*'"),
    ("0 0 * * ?", "write '*'"),
    ("? 0 * * *", "write '*'"),
    ("0 0 * * L", "only in the day of month"),
    ("0 0 * * L5", "only in the day of month"),
    ("0 0 * * 5L", "only in the day of month"),
    ("0 0 L-3 * *", "'L' stands alone"),
    ("0 0 28-L * *", "'L' stands alone"),
    ("0 0 L/2 * *", "'L' stands alone"),
    ("L 0 * * *", "only in the day of month"),
    ("0 0 30 2 *", "never fires"),
    ("0 0 31 2,4,6,9,11 *", "never fires"),
    ("0 0 31 2 1", "never fires"),
    ("٥ * * * *", "plain ASCII"),
    ("0 0 * *\N{NO-BREAK SPACE}*", "plain ASCII"),
    ("0 0 * * *\x00", "plain ASCII"),
    ("0 0\n* * *", "plain ASCII"),
    ("\N{KELVIN SIGN} * * * *", "plain ASCII"),
    ("*" * 257, "has 257 characters; at most 256"),
    ("*/" + "9" * 5000 + " * * * *", "at most 256"),
    (",".join(["1"] * 50_000) + " * * * *", "at most 256"),
]


@pytest.mark.parametrize(("expression", "reason"), REFUSED, ids=[text[:20] for text, _ in REFUSED])
def test_a_refused_expression_names_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(TimetableError) as refusal:
        cron(expression)

    assert list(refusal.value.errors) == ["schedule"]
    assert reason in refusal.value.errors["schedule"][0]
    assert len(refusal.value.errors["schedule"][0]) < 300
    assert isinstance(refusal.value, InvalidInput)


@pytest.mark.parametrize("expression", ["*/" + "9" * 200 + " * * * *", "0 " * 200, "1," * 2_000_000])
def test_hostile_text_is_answered_at_once(expression: str) -> None:
    started = time.perf_counter()

    with contextlib.suppress(TimetableError):
        cron(expression)

    assert time.perf_counter() - started < 0.5


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=st.text(alphabet="0123456789*/-,? LlWwHhRr#@|janmosuty\t\n٥", max_size=40))
def test_any_text_is_a_timetable_or_a_typed_refusal(text: str) -> None:
    with contextlib.suppress(TimetableError):
        slot = cron(text).first(START)

        assert slot is not None
        assert slot.run_time >= START


# Spellings that mean the same to croniter, so that it can be asked for the same times.
def plain_field(low: int, high: int) -> st.SearchStrategy[str]:
    values = st.integers(low, high)
    ranges = st.tuples(values, values).filter(lambda ends: ends[0] < ends[1])
    item = st.one_of(
        values.map(str),
        ranges.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(ranges, st.integers(1, 9)).map(lambda part: f"{part[0][0]}-{part[0][1]}/{part[1]}"),
    )
    star = st.one_of(st.just("*"), st.integers(1, 9).map(lambda step: f"*/{step}"))
    return st.one_of(star, st.lists(item, min_size=1, max_size=3).map(",".join))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    fields=st.tuples(
        plain_field(0, 59),
        plain_field(0, 23),
        st.one_of(st.just("*"), st.just("l"), plain_field(1, 31)),
        st.one_of(st.just("*"), plain_field(1, 12)),
        st.one_of(st.just("*"), plain_field(0, 6)),
    ),
    start=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - wall time
)
def test_on_the_wall_croniter_gives_the_same_times(fields: tuple[str, ...], start: datetime) -> None:
    expression = " ".join(fields)
    wall = croniter(expression, start, day_or=False, max_years_between_matches=40)
    try:
        timetable = cron(expression)
    except TimetableError:
        assume(False)

    ours = [slot.session_time for slot in islice(timetable.between(start.replace(tzinfo=UTC), None), 21)]
    times = [moment for moment in ours if moment.replace(tzinfo=None) > start][:20]

    assert times == [wall.get_next(datetime).replace(tzinfo=UTC) for _ in times]
    assert len(times) == 20


@pytest.mark.parametrize("expression", ["*/5 * * * *", "* * * * *", "0 0 * * *"])
def test_ten_thousand_slots_are_walked_without_looking_for_each(expression: str) -> None:
    timetable = cron(expression, "America/Los_Angeles")
    start = datetime(2016, 1, 1, tzinfo=UTC)
    list(islice(timetable.between(start, None), 10_000))

    best = min(timed(lambda: list(islice(timetable.between(start, None), 10_000))) for _ in range(3))

    assert best < 0.5  # bench/backfill.py measures what is promised


@pytest.mark.parametrize("expression", ["*/5 * * * *", "* * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 29 2 1"])
@pytest.mark.parametrize("day", ["2016-03-13", "2016-11-06", "2096-03-01"])
def test_one_step_takes_well_under_a_millisecond(expression: str, day: str) -> None:
    timetable = cron(expression, "America/Los_Angeles")
    at = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=9, minutes=59)
    timetable.next(at)

    def hundred_steps() -> None:
        for _ in range(100):
            timetable.next(at)
            timetable.first(at)

    assert min(timed(hundred_steps) for _ in range(3)) / 200 < 0.001


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
