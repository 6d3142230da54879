from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.backfill import BackfillConflict, Plan, backfill
from scheduler.models import Attempt, AttemptStatus, Schedule
from scheduler.timetable import Kind
from scheduler.web.plan_table import plan_table

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def planned(schedule: Schedule, hours: int, name: str = "fix") -> Plan:
    from_time = NOW - timedelta(hours=hours - 1)
    return backfill(schedule_id=schedule.pk, attempt_name=name, from_time=from_time, dry_run=True, now=NOW)


def test_counts_tell_new_sessions_from_further_attempts(
    schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    make_attempt(schedule, NOW)

    table = plan_table(planned(schedule, 3))

    assert (table.sessions, table.new, table.again, table.conflicts) == (3, 2, 1, 0)
    assert table.counts == "2 new sessions, 1 more attempt"
    assert table.for_people == "3 sessions from 2026-03-02 10:00 +00:00 to 2026-03-02 12:00 +00:00"


def test_rows_say_what_is_there_and_what_would_happen(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, NOW, status=AttemptStatus.ERROR)

    rows = plan_table(planned(schedule, 2)).rows

    assert [(row.there, row.action) for row in rows] == [("no session", "new session"), ("error", "one more attempt")]
    assert rows[0].cells == ("2026-03-02 11:00 +00:00", "2026-03-02 11:00 UTC", "no session", "new session", "")


def test_conflicts_come_first_with_their_reason(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    running = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)
    with pytest.raises(BackfillConflict) as caught:
        planned(schedule, 3)

    table = plan_table(caught.value.plan)

    assert (table.sessions, table.conflicts, table.again, table.new) == (3, 1, 0, 2)
    assert table.rows[0].is_conflict
    assert table.rows[0].reason == f"attempt {running.pk} is running"
    assert [row.local for row in table.rows[1:]] == ["2026-03-02 10:00 +00:00", "2026-03-02 11:00 +00:00"]


def test_a_long_plan_shows_some_rows_and_counts_all(schedule: Schedule) -> None:
    table = plan_table(planned(schedule, 1_250), limit=200)

    assert len(table.rows) == 200
    assert table.sessions == 1_250
    assert table.rest == "1,050 more not shown."


def test_conflicts_that_are_not_shown_are_counted(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    for hours in range(3):
        make_attempt(schedule, NOW - timedelta(hours=hours), name="fix")
    with pytest.raises(BackfillConflict) as caught:
        planned(schedule, 4)

    table = plan_table(caught.value.plan, limit=1)

    assert table.conflicts == 3
    assert table.rest == "3 more not shown, 2 of them conflicts."


def test_days_on_which_the_clocks_change_are_marked(make_schedule: Callable[..., Schedule]) -> None:
    schedule = make_schedule(
        "30 2 * * *", kind=Kind.CRON, timezone="America/Los_Angeles", at=datetime(2026, 3, 9, 20, 0, tzinfo=UTC)
    )
    plan = backfill(
        schedule_id=schedule.pk,
        attempt_name="fix",
        from_time=datetime(2026, 3, 8, 8, 0, tzinfo=UTC),
        dry_run=True,
        now=datetime(2026, 3, 9, 20, 0, tzinfo=UTC),
    )

    rows = plan_table(plan).rows

    assert rows[0].local == "2026-03-08 03:30 −07:00"
    assert "02:30 does not exist" in rows[0].clock_change
    assert rows[1].clock_change == ""


def test_an_empty_plan_says_that_there_is_nothing_to_run(schedule: Schedule) -> None:
    plan = backfill(
        schedule_id=schedule.pk, attempt_name="fix", from_time=NOW + timedelta(days=1), dry_run=True, now=NOW
    )

    assert "nothing to run" in plan_table(plan).for_people
    assert plan_table(plan).rows == []


def test_the_fingerprint_stands_for_the_session_times(schedule: Schedule) -> None:
    same, other = planned(schedule, 3), planned(schedule, 4)

    assert plan_table(same).fingerprint == plan_table(planned(schedule, 3, name="else"), limit=0).fingerprint
    assert plan_table(same).fingerprint != plan_table(other).fingerprint
