"""Which sessions of a time a backfill runs, and how many of them at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.backfill import BackfillConflict, Plan, backfill
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule, Session
from scheduler.models.backfill import Only

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

Make = Callable[..., Any]


@pytest.fixture
def run(schedule: Schedule) -> Callable[..., Plan]:
    """backfill(...) of the hourly schedule, five hours back: six sessions, unless told otherwise."""

    def run(**given: Any) -> Plan:
        asked = {"schedule_id": schedule.pk, "attempt_name": "again", "from_time": NOW - 5 * HOUR, "dry_run": False}
        return backfill(**{**asked, "now": NOW, **given})

    return run


@pytest.fixture
def night(schedule: Schedule, make_attempt: Make) -> None:
    """Of the six sessions: success, error, killed, none, running, and one that failed first and succeeded then."""
    for hours, status in ((5, "success"), (4, "error"), (3, "killed"), (1, "running"), (0, "error")):
        make_attempt(schedule, NOW - hours * HOUR, status=AttemptStatus(status))
    make_attempt(schedule, NOW, name="mended")


def hours_back(plan: Plan) -> list[int]:
    return [(NOW - item.slot.session_time) // HOUR for item in plan.planned]


# --- until when ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to_time", "hours"),
    [
        (NOW - 2 * HOUR, [5, 4, 3]),
        (NOW - 2 * HOUR + timedelta(seconds=1), [5, 4, 3, 2]),
        (NOW - 5 * HOUR + timedelta(microseconds=1), [5]),
        (NOW + HOUR, [5, 4, 3, 2, 1, 0]),
        (NOW + timedelta(days=400), [5, 4, 3, 2, 1, 0]),
    ],
)
def test_runs_the_sessions_before_the_time_to_stop_at_and_never_beyond_the_next(
    run: Callable[..., Plan], to_time: datetime, hours: list[int]
) -> None:
    plan = run(to_time=to_time)

    assert hours_back(plan) == hours
    assert plan.backfill is not None
    assert (plan.backfill.to_time, plan.backfill.sessions) == (to_time, len(hours))


def test_the_time_to_stop_at_is_compared_with_run_times_as_the_time_to_start_from(make_schedule: Make) -> None:
    daily = make_schedule("07:00:00", kind="daily", at=NOW)
    three = {"schedule_id": daily.pk, "attempt_name": "a", "dry_run": True, "now": NOW}
    first = NOW.replace(day=1, hour=7)

    before = backfill(from_time=first - timedelta(days=3), to_time=first, **three)
    after = backfill(from_time=first, **three)

    assert [item.slot.run_time for item in before.planned] == [first - timedelta(days=n) for n in (3, 2, 1)]
    assert after.planned[0].slot.run_time == first


def test_stops_at_a_time_after_the_last_session_of_a_schedule_that_has_ended(make_schedule: Make) -> None:
    ended = make_schedule(end_date=NOW.date() - timedelta(days=1))

    plan = backfill(
        schedule_id=ended.pk,
        attempt_name="a",
        from_time=NOW - 40 * HOUR,
        to_time=NOW,
        dry_run=True,
        now=NOW,
    )

    assert plan.planned
    assert plan.planned == sorted(plan.planned, key=lambda item: item.slot.session_time)
    assert plan.planned[-1].slot.session_time < NOW.replace(hour=0)


# --- which of them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "hours"),
    [(Only.MISSING, [2]), (Only.FAILED, [4, 3]), (Only.MISSING_OR_FAILED, [4, 3, 2])],
)
@pytest.mark.usefixtures("night")
def test_runs_only_what_is_missing_or_failed_and_nothing_stands_in_its_way(
    run: Callable[..., Plan], only: Only, hours: list[int]
) -> None:
    sessions = Session.objects.count()

    dry, plan = run(only=only, dry_run=True), run(only=only)

    assert hours_back(dry) == hours_back(plan) == hours
    assert len(plan.left_out) == 6 - len(hours)
    assert Session.objects.count() == sessions + (2 in hours)
    assert Attempt.objects.filter(name="again").count() == len(hours)
    assert Backfill.objects.get().only == only


@pytest.mark.usefixtures("night")
def test_everything_is_run_unless_told_otherwise_so_a_running_attempt_is_a_conflict(run: Callable[..., Plan]) -> None:
    with pytest.raises(BackfillConflict) as refusal:
        run()

    assert [(NOW - item.slot.session_time) // HOUR for item in refusal.value.plan.conflicts] == [1]


@pytest.mark.usefixtures("night")
def test_a_count_is_of_the_sessions_of_the_time_whether_or_not_they_are_run(run: Callable[..., Plan]) -> None:
    assert hours_back(run(only=Only.FAILED, count=2)) == [4]


@pytest.mark.usefixtures("night")
def test_nothing_that_failed_is_an_empty_plan_and_writes_nothing(run: Callable[..., Plan]) -> None:
    plan = run(only=Only.FAILED, from_time=NOW - HOUR)

    assert (plan.planned, plan.backfill, len(plan.left_out)) == ([], None, 2)
    assert not Backfill.objects.exists()


@pytest.mark.usefixtures("night")
def test_what_failed_under_this_name_is_a_conflict(run: Callable[..., Plan], schedule: Schedule) -> None:
    Attempt.objects.filter(status=AttemptStatus.KILLED).update(name="again")

    with pytest.raises(BackfillConflict) as refusal:
        run(only=Only.FAILED)

    assert len(refusal.value.plan.conflicts) == 1


@pytest.mark.usefixtures("night")
def test_the_last_executed_session_of_each_is_the_one_before_it_that_was_ever_run(run: Callable[..., Plan]) -> None:
    plan = run(only=Only.MISSING_OR_FAILED, dry_run=True)

    assert [(NOW - item.last_executed_session_time) // HOUR for item in plan.planned] == [5, 4, 3]
    assert (NOW - run(only=Only.FAILED).planned[0].last_executed_session_time) // HOUR == 5


# --- how many at once ---------------------------------------------------------------------------------------


def test_as_many_as_asked_for_have_their_turn_at_once(run: Callable[..., Plan]) -> None:
    plan = run(concurrency=4)

    released = Attempt.objects.filter(backfill=plan.backfill, released_at__isnull=False).order_by("pk")
    assert [attempt.session.session_time for attempt in released] == [NOW - n * HOUR for n in (5, 4, 3, 2)]
    assert Backfill.objects.get().concurrency == 4


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"to_time": NOW - 5 * HOUR}, "to_time", "not after the time to start from"),
        ({"to_time": NOW - 6 * HOUR}, "to_time", "not after the time to start from"),
        ({"to_time": NOW.replace(tzinfo=None)}, "to_time", "offset from UTC"),
        ({"to_time": NOW, "count": 1}, "to_time", "either a count or the time to stop at"),
        ({"concurrency": 0}, "concurrency", "from 1 to 100"),
        ({"concurrency": -1}, "concurrency", "from 1 to 100"),
        ({"concurrency": 101}, "concurrency", "from 1 to 100"),
    ],
)
def test_a_wrong_choice_names_the_field_and_writes_nothing(
    run: Callable[..., Plan], given: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        run(**given)

    assert list(refusal.value.errors) == [field]
    assert says in refusal.value.errors[field][0]
    assert not Backfill.objects.exists()
