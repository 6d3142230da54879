"""A crontab's line runs at the very times at which cron would run it. The oracle is cron's own rule, day by day."""

from collections.abc import Iterator, Set
from datetime import UTC, date, datetime, timedelta

import pytest

from scheduler.importing.cron_times import times_of
from scheduler.importing.refusal import NotTaken
from scheduler.timetable import Kind, Timetable

FIRST, LAST = date(2027, 1, 1), date(2028, 3, 2)  # with a 29th of February
ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS = set(range(1, 32)), set(range(1, 13)), set(range(7))


def as_cron(
    minutes: Set[int], hours: Set[int], days: Set[int], months: Set[int], weekdays: Set[int], *, either: bool
) -> list[datetime]:
    """`either`: both the day of month and the day of week are restricted, so that one of them is enough."""

    def matches(day: date) -> bool:
        found = (day.day in days, (day.weekday() + 1) % 7 in weekdays)
        return day.month in months and (any(found) if either else all(found))

    days_of_run = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days)]
    return [
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
        for day in days_of_run
        if matches(day)
        for hour in sorted(hours)
        for minute in sorted(minutes)
    ]


def as_here(text: str) -> Iterator[datetime]:
    start, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (FIRST, LAST))
    for expression in times_of(text.split(), "UTC").expressions:
        timetable = Timetable(kind=Kind.CRON, expression=expression, timezone="UTC")
        yield from (slot.run_time for slot in timetable.between(start, end))


@pytest.mark.parametrize(
    ("text", "minutes", "hours", "days", "months", "weekdays", "either"),
    [
        ("0 3 * * *", {0}, {3}, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, False),
        ("*/20 9-11 * * mon-fri", {0, 20, 40}, {9, 10, 11}, ALL_DAYS, ALL_MONTHS, {1, 2, 3, 4, 5}, False),
        ("5,7 0-23/12 1-7 jan,Jul *", {5, 7}, {0, 12}, set(range(1, 8)), {1, 7}, ALL_WEEKDAYS, False),
        ("0 0 13 * 5", {0}, {0}, {13}, ALL_MONTHS, {5}, True),
        ("0 0 1,15 2 0", {0}, {0}, {1, 15}, {2}, {0}, True),
        ("0 0 29-31 2 7", {0}, {0}, {29, 30, 31}, {2}, {0}, True),
        ("0 0 31 2 1", {0}, {0}, {31}, {2}, {1}, True),
        ("0 0 1-31 * 1", {0}, {0}, ALL_DAYS, ALL_MONTHS, {1}, True),
        ("0 0 1-30 4 1", {0}, {0}, set(range(1, 31)), {4}, {1}, True),
        ("0 0 5 * 0-6", {0}, {0}, {5}, ALL_MONTHS, ALL_WEEKDAYS, True),
        ("0 0 5 * 1-7", {0}, {0}, {5}, ALL_MONTHS, ALL_WEEKDAYS, True),
        # Cron looks at the first letter: a star with a step counts as no restriction, and both must match.
        ("0 0 */10 * 1", {0}, {0}, {1, 11, 21, 31}, ALL_MONTHS, {1}, False),
        ("0 0 1-10 * */2", {0}, {0}, set(range(1, 11)), ALL_MONTHS, {0, 2, 4, 6}, False),
        ("0 0 * * 5-7", {0}, {0}, ALL_DAYS, ALL_MONTHS, {5, 6, 0}, False),
        ("0 0 * * 0-7", {0}, {0}, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, False),
        ("@yearly", {0}, {0}, {1}, {1}, ALL_WEEKDAYS, False),
        ("@Annually", {0}, {0}, {1}, {1}, ALL_WEEKDAYS, False),
        ("@monthly", {0}, {0}, {1}, ALL_MONTHS, ALL_WEEKDAYS, False),
        ("@weekly", {0}, {0}, ALL_DAYS, ALL_MONTHS, {0}, False),
        ("@daily", {0}, {0}, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, False),
        ("@midnight", {0}, {0}, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, False),
        ("@hourly", {0}, set(range(24)), ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, False),
    ],
)
def test_the_times_are_those_of_cron_each_once(
    text: str, minutes: Set[int], hours: Set[int], days: Set[int], months: Set[int], weekdays: Set[int], either: bool
) -> None:
    expected = as_cron(minutes, hours, days, months, weekdays, either=either)

    assert sorted(as_here(text)) == expected
    assert expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@reboot", "nothing here starts with a machine"),
        ("@fortnightly", "there are @yearly"),
        ("60 * * * *", "minute is 0 to 59, not '60'"),
        ("0 24 * * *", "hour is 0 to 23"),
        ("0 0 0 * *", "day of month is 1 to 31"),
        ("0 0 * 13 *", "month is 1 to 12"),
        ("0 0 * foo *", "month is 1 to 12, not 'foo'"),
        ("0 0 * * 8", "day of week is 0 to 7"),
        ("0 0 * * fri-mon", "runs backwards; write 5-7,0-1"),
        ("0 22-2 * * *", "runs backwards; write 22-23,0-2"),
        ("5/15 * * * *", "in two ways: write 5, or 5-59/15"),
        ("*/0 * * * *", "a step is 1 or more"),
        ("H * * * *", "a time by chance"),
        ("1~9 * * * *", "a time by chance"),
        ("0 0 L * *", "which no crontab has"),
        ("0 0 * * 5#2", "which no crontab has"),
        (", * * * *", "it takes values"),
        ("1-2-3 * * * *", "it takes values"),
        ("٣ * * * *", "it takes values"),
        ("0 0 31 2 *", "never fires"),
        ("0 0 30,31 feb *", "never fires"),
    ],
)
def test_what_is_not_taken_is_told_with_what_would_be_right(text: str, reason: str) -> None:
    with pytest.raises(NotTaken) as refused:
        times_of(text.split(), "UTC")

    assert reason in refused.value.message


def test_a_range_of_hours_runs_once_each_on_the_day_on_which_the_clocks_go_back() -> None:
    """As cron: what has no star runs once for each time that is written, whatever the clocks do."""
    [expression] = times_of(["0", "0-3", "*", "*", "*"], "Europe/London").expressions
    timetable = Timetable(kind=Kind.CRON, expression=expression, timezone="Europe/London")
    night = datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)

    assert len(list(timetable.between(*night))) == 4


def test_a_list_that_would_be_too_long_stays_a_range_and_says_what_that_means() -> None:
    times = times_of(["0-58", "0-22", "1-30", "1-11", "1-5"], "UTC")

    assert times.expressions[0] == "0-58 0-22 1-30 1-11 *"
    assert "both copies of the repeated hour" in times.notes[0]
