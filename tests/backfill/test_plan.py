"""What a backfill plans, and what it refuses."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from scheduler.backfill import BackfillConflict, ScheduleNotFound, backfill
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Backfill, Session

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def run(schedule):
    """backfill(...) of the hourly schedule, five hours back, unless told otherwise."""

    def run(**given):
        asked = {
            "schedule_id": schedule.pk,
            "attempt_name": "again",
            "from_time": NOW - 5 * HOUR,
            "dry_run": False,
            "now": NOW,
        }
        return backfill(**{**asked, **given})

    return run


def rows():
    return Backfill.objects.count(), Session.objects.count(), Attempt.objects.count()


def times(plan):
    return [item.slot.session_time for item in plan.planned]


def test_runs_every_slot_from_the_time_given_up_to_the_next_session(run, schedule):
    plan = run()

    assert schedule.next_session_time == NOW + HOUR
    assert times(plan) == [NOW - 5 * HOUR + n * HOUR for n in range(6)]
    assert rows() == (1, 6, 6)
    assert plan.backfill is not None
    assert plan.backfill.sessions == 6


def test_begins_with_the_first_slot_at_or_after_the_time_given(run):
    plan = run(from_time=NOW - 2 * HOUR + timedelta(seconds=1))

    assert times(plan) == [NOW - HOUR, NOW]


def test_compares_the_time_given_with_run_times_not_session_times(make_schedule):
    daily = make_schedule("07:00:00", kind="daily")
    seven = NOW.replace(hour=7)

    at_seven = backfill(schedule_id=daily.pk, attempt_name="a", from_time=seven, dry_run=True, now=NOW)
    later = backfill(
        schedule_id=daily.pk, attempt_name="a", from_time=seven + timedelta(seconds=1), dry_run=True, now=NOW
    )

    assert times(at_seven) == [NOW.replace(hour=0)]
    assert times(later) == []


def test_count_limits_how_many_sessions_run(run):
    plan = run(count=2)

    assert times(plan) == [NOW - 5 * HOUR, NOW - 4 * HOUR]
    assert rows() == (1, 2, 2)


def test_a_dry_run_plans_the_same_and_writes_nothing(run):
    dry = run(dry_run=True)

    assert rows() == (0, 0, 0)
    assert dry.backfill is None
    assert all(item.attempt_id is None for item in dry.planned)
    assert times(dry) == times(run())


def test_nothing_there_is_an_empty_plan_and_writes_nothing(run):
    plan = run(from_time=NOW + timedelta(minutes=1, hours=5))

    assert plan.planned == []
    assert rows() == (0, 0, 0)


def test_a_session_that_is_there_keeps_its_identity_and_gets_one_more_attempt(run, schedule, make_attempt):
    first = make_attempt(schedule, NOW - HOUR, status=AttemptStatus.ERROR)

    item = run(from_time=NOW - HOUR).planned[0]

    assert item.session_id == first.session_id
    assert item.session_uuid == first.session.uuid
    assert item.index == 2
    assert list(Attempt.objects.filter(session=first.session).order_by("index").values_list("name", "is_latest")) == [
        ("", False),
        ("again", True),
    ]


def test_a_disabled_schedule_can_be_backfilled_and_stays_where_it_was(make_schedule):
    schedule = make_schedule(disabled_at=NOW)

    backfill(schedule_id=schedule.pk, attempt_name="a", from_time=NOW - HOUR, dry_run=False, now=NOW)

    before = (schedule.next_session_time, schedule.next_run_time, schedule.disabled_at, schedule.version)
    schedule.refresh_from_db()
    assert (schedule.next_session_time, schedule.next_run_time, schedule.disabled_at, schedule.version) == before


def test_a_schedule_that_has_ended_runs_up_to_its_last_session(make_schedule):
    ended = make_schedule("00:00:00", kind="daily", end_date=(NOW - timedelta(days=2)).date())

    plan = backfill(schedule_id=ended.pk, attempt_name="a", from_time=NOW - timedelta(days=4), dry_run=True, now=NOW)

    assert ended.next_session_time is None
    assert [at.day for at in times(plan)] == [27, 28]


def test_the_last_executed_session_of_each_is_the_one_before_it(run, schedule, make_attempt):
    make_attempt(schedule, NOW - 9 * HOUR)

    plan = run(count=3)

    assert [item.last_executed_session_time for item in plan.planned] == [
        NOW - 9 * HOUR,
        NOW - 5 * HOUR,
        NOW - 4 * HOUR,
    ]
    assert list(Attempt.objects.filter(name="again").order_by("pk").values_list("last_executed_session_time")) == [
        (NOW - 9 * HOUR,),
        (NOW - 5 * HOUR,),
        (NOW - 4 * HOUR,),
    ]


def test_the_first_of_all_has_no_last_executed_session(run):
    assert run(count=1).planned[0].last_executed_session_time is None


@pytest.mark.parametrize("dry_run", [True, False])
def test_every_slot_with_an_attempt_of_that_name_or_a_live_one_is_a_conflict(run, schedule, make_attempt, dry_run):
    make_attempt(schedule, NOW - 4 * HOUR, name="again")
    make_attempt(schedule, NOW - 3 * HOUR, status=AttemptStatus.RUNNING)
    make_attempt(schedule, NOW - 2 * HOUR, status=AttemptStatus.QUEUED)
    make_attempt(schedule, NOW - HOUR, status=AttemptStatus.ERROR)
    before = rows()

    with pytest.raises(BackfillConflict) as refused:
        run(dry_run=dry_run)

    conflicts = refused.value.plan.conflicts
    assert [item.slot.session_time for item in conflicts] == [NOW - 4 * HOUR, NOW - 3 * HOUR, NOW - 2 * HOUR]
    assert [item.conflict_reason.split(" ", 2)[2] for item in conflicts] == [
        "already has this name",
        "is running",
        "is queued",
    ]
    assert "3 of 6 sessions" in refused.value.message
    assert rows() == before


def test_the_same_name_may_be_used_for_other_slots(run):
    run(count=2)

    plan = run(from_time=NOW - HOUR)

    assert len(plan.planned) == 2


def test_asking_twice_is_a_conflict_and_writes_once(run):
    run(count=2)

    with pytest.raises(BackfillConflict):
        run()

    assert rows() == (1, 2, 2)


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"attempt_name": ""}, "attempt_name", "name"),
        ({"attempt_name": " \u2003 "}, "attempt_name", "name"),
        ({"attempt_name": "x" * 256}, "attempt_name", "256 characters; 255"),
        ({"attempt_name": "a\x00b"}, "attempt_name", "control character"),
        ({"attempt_name": "a\nb"}, "attempt_name", "control character"),
        ({"attempt_name": "\ud800"}, "attempt_name", "control character"),
        ({"from_time": datetime(2026, 3, 1)}, "from_time", "offset"),  # noqa: DTZ001 - the point
        ({"from_time": datetime(9999, 12, 31, 23, tzinfo=timezone(-5 * HOUR))}, "from_time", "9999"),
        ({"from_time": datetime(1, 1, 1, tzinfo=timezone(5 * HOUR))}, "from_time", "9999"),
        ({"from_time": datetime(1, 1, 1, tzinfo=UTC)}, "from_time", "more than 10000 sessions"),
        ({"count": 0}, "count", "1 is the least"),
        ({"count": -3}, "count", "1 is the least"),
        ({"count": 7}, "count", "7, but there are only 6"),
        ({"count": 10_001}, "count", "10000 sessions at the most"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_bad_input_names_the_field_and_writes_nothing(run, given, field, says, dry_run):
    with pytest.raises(InvalidInput) as refused:
        run(**given, dry_run=dry_run)

    assert list(refused.value.errors) == [field]
    assert says in refused.value.errors[field][0]
    assert rows() == (0, 0, 0)


def test_all_wrong_fields_are_named_at_once(run):
    with pytest.raises(InvalidInput) as refused:
        run(attempt_name="", count=0)

    assert set(refused.value.errors) == {"attempt_name", "count"}


def test_a_name_of_255_letters_of_any_script_is_fine(run):
    plan = run(attempt_name="ש" * 255, count=1)

    assert Attempt.objects.get(pk=plan.planned[0].attempt_id).name == "ש" * 255


def test_the_limit_itself_is_allowed_and_one_more_is_not(run, settings):
    settings.HINDCAST_MAX_BACKFILL_SESSIONS = 6
    assert len(run(dry_run=True).planned) == 6
    settings.HINDCAST_MAX_BACKFILL_SESSIONS = 5

    with pytest.raises(InvalidInput) as refused:
        run()

    assert "more than 5 sessions" in refused.value.errors["from_time"][0]


def test_an_unknown_schedule_is_not_found(run):
    with pytest.raises(ScheduleNotFound) as refused:
        run(schedule_id=999_999)

    assert refused.value.schedule_id == 999_999


def test_a_schedule_of_a_deleted_project_is_not_found(run, schedule):
    project = schedule.workflow.project
    project.deleted_at = NOW
    project.save()

    with pytest.raises(ScheduleNotFound):
        run()
