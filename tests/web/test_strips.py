from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.models import Attempt, AttemptStatus, Schedule, Skip, SkipReason
from scheduler.web.strips import LENGTH, Strip, since_annotated, strips

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def strip(schedule: Schedule, *, every_link: bool = True) -> Strip:
    return strips([since_annotated(Schedule.objects.all()).get(pk=schedule.pk)], every_link=every_link)[schedule.pk]


def looks(found: Strip) -> list[str]:
    return [mark.state.look for mark in found.marks]


def test_without_sessions_there_is_no_strip(schedule: Schedule) -> None:
    assert looks(strip(schedule)) == []
    assert strip(schedule).summary == "No sessions yet"


def test_the_newest_session_is_last(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)
    make_attempt(schedule, NOW - timedelta(hours=1), status=AttemptStatus.ERROR)

    assert looks(strip(schedule)) == ["error", "running"]


def test_only_the_latest_attempt_of_a_session_counts(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW, status=AttemptStatus.ERROR)
    make_attempt(schedule, NOW, name="fix")

    assert looks(strip(schedule)) == ["success"]


def test_it_holds_the_last_thirty(schedule: Schedule, make_past: Callable[..., Any]) -> None:
    make_past(schedule, LENGTH + 5)

    found = strip(schedule)

    assert len(found.marks) == LENGTH
    assert found.marks[-1].title.startswith("2026-03-02 12:00 +00:00, success")
    assert found.summary == "Last 30 sessions: 30 success"


def test_due_slots_without_a_session_are_missing_and_lead_to_the_form(
    schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule, NOW - timedelta(hours=3))
    make_attempt(schedule, NOW - timedelta(hours=1))

    found = strip(schedule)

    assert looks(found) == ["success", "missing", "success", "missing"]
    assert found.marks[1].href == f"/schedules/{schedule.pk}/backfill?from=2026-03-02T10%3A00%3A00%2B00%3A00&count=1"
    assert found.summary == "Last 4 sessions: 2 missing, 2 success"


def test_a_skip_is_told_from_a_gap_and_says_why(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW - timedelta(hours=1))
    Skip.objects.create(schedule=schedule, session_time=NOW, reason=SkipReason.DELAYED, created_at=NOW)

    found = strip(schedule)

    assert looks(found) == ["success", "skipped"]
    assert "Too late to start" in found.marks[1].title


def test_a_long_absence_is_walked_from_its_end(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    schedule = make_schedule("* * * * *")
    make_attempt(schedule, NOW - timedelta(days=30))

    assert looks(strip(schedule)) == ["missing"] * LENGTH


def test_a_session_off_the_timetable_has_its_place(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW - timedelta(minutes=90))
    make_attempt(schedule, NOW - timedelta(minutes=60))
    make_attempt(schedule, NOW)

    assert looks(strip(schedule)) == ["success"] * 3


def test_in_a_list_only_problems_are_links(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW - timedelta(hours=1))
    failed = make_attempt(schedule, NOW, status=AttemptStatus.ERROR)

    assert [mark.href for mark in strip(schedule, every_link=False).marks] == ["", f"/attempts/{failed.pk}"]


def test_many_schedules_take_two_queries(
    make_schedule: Callable[..., Schedule],
    make_past: Callable[..., Any],
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    for number in range(5):
        make_past(make_schedule(name=f"w{number}"), 2)
    schedules = list(since_annotated(Schedule.objects.all()))

    with django_assert_num_queries(2):
        found = strips(schedules, every_link=False)

    assert {len(one.marks) for one in found.values()} == {2}


@pytest.mark.parametrize("count", [LENGTH - 1, LENGTH, LENGTH + 1])
def test_the_strip_begins_at_the_thirtieth_session(
    schedule: Schedule, make_past: Callable[..., Any], count: int
) -> None:
    make_past(schedule, count)

    assert len(strip(schedule).marks) == min(count, LENGTH)
