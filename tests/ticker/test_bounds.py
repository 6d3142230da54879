"""One tick does a bounded amount of work, what is on time goes first, and one bad schedule stops no other."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, OperationalError
from django.db.models import Count

from scheduler import ticker, turns
from scheduler.models import Attempt, Pool, Schedule, Session

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LONG = timedelta(seconds=86_400)


def sessions(schedule):
    return Session.objects.filter(workflow=schedule.workflow).count()


@pytest.fixture
def make_behind(make_schedule):
    """Schedules with a slot every second since noon."""
    return lambda count: [make_schedule("1", kind="seconds_interval", name=f"behind{n}") for n in range(count)]


def test_a_tick_without_time_left_gives_each_of_those_behind_twenty_slots(make_behind):
    behind = make_behind(3)

    ticked = ticker.tick(now=NOW + LONG, seconds=0)

    assert [sessions(schedule) for schedule in behind] == [20, 20, 20]
    assert (ticked.schedules, ticked.started) == (3, 60)


def test_those_behind_take_turns_when_one_tick_has_no_time_for_all(make_behind, monkeypatch):
    monkeypatch.setattr(ticker, "BEHIND_BATCH", 2)
    make_behind(5)

    for second in range(5):
        ticker.tick(now=NOW + LONG + timedelta(seconds=second), seconds=0)

    done = Session.objects.values("workflow").annotate(count=Count("pk")).values_list("count", flat=True)
    assert list(done) == [40] * 5


def test_a_schedule_on_time_starts_in_the_same_tick_whatever_is_behind(make_behind, make_schedule, monkeypatch):
    monkeypatch.setattr(ticker, "BEHIND_BATCH", 2)
    make_behind(6)
    on_time = make_schedule("0 12 * * *", name="on_time", at=NOW + timedelta(hours=1))

    ticker.tick(now=NOW + LONG, seconds=0)

    assert sessions(on_time) == 1


def test_more_schedules_on_time_than_one_batch_all_start(make_schedule, monkeypatch):
    monkeypatch.setattr(ticker, "BATCH", 3)
    for number in range(7):
        make_schedule("* * * * *", name=f"w{number}")

    assert ticker.tick(now=NOW + MINUTE, seconds=0).started == 7


def test_a_start_in_a_full_pool_does_not_read_those_that_wait_for_it(make_schedule, monkeypatch):
    make_schedule("1", kind="seconds_interval", pool=Pool.objects.create(name="narrow", slots=1))
    ticker.tick(now=NOW + timedelta(seconds=1000), seconds=60)
    assert Attempt.objects.filter(released_at=None).count() == 999
    read, found = turns._read, []
    monkeypatch.setattr(turns, "_read", lambda rows: found.extend(read(rows)) or found)

    ticker.tick(now=NOW + timedelta(seconds=1001))

    assert (Attempt.objects.filter(released_at=None).count(), found) == (1000, [])


def test_with_time_left_a_tick_catches_up_to_the_end(make_behind):
    (schedule,) = make_behind(1)

    ticked = ticker.tick(now=NOW + timedelta(seconds=500), seconds=60)

    assert ticked.started == sessions(schedule) == 500


def test_a_tick_says_whether_it_left_some_behind(make_behind):
    make_behind(1)
    at = NOW + timedelta(seconds=30)

    left = [ticker.tick(now=at, seconds=0).behind for _ in range(2)]

    assert left == [True, False]


def test_a_tick_that_caught_up_in_time_leaves_none_behind(make_behind):
    make_behind(2)

    assert not ticker.tick(now=NOW + timedelta(seconds=200), seconds=60).behind


@pytest.fixture
def refuse(monkeypatch):
    """refuse("bad", error): the database refuses attempts of that workflow."""
    insert = ticker.insert_many

    def refused(workflow, error):
        def insert_many(model, *, columns, **options):
            pks = Schedule.objects.filter(workflow__name=workflow).values_list("workflow", flat=True)
            if model is Attempt and set(pks) & set(columns["workflow_id"]):
                raise error
            return insert(model, columns=columns, **options)

        monkeypatch.setattr(ticker, "insert_many", insert_many)

    return refused


def test_a_schedule_that_the_database_refuses_stops_no_other(make_schedule, refuse):
    refuse("bad", IntegrityError("violates a constraint"))
    good = [make_schedule("0 * * * *", name=name) for name in ("a", "z")]
    bad = make_schedule("0 * * * *", name="bad")
    at = NOW + 60 * MINUTE

    ticked = ticker.tick(now=at)

    bad.refresh_from_db()
    assert (ticked.schedules, ticked.started, ticked.failed) == (3, 2, 1)
    assert [sessions(schedule) for schedule in (*good, bad)] == [1, 1, 0]
    assert bad.error == "IntegrityError: violates a constraint"
    assert (bad.failures, bad.retry_at, bad.next_run_time) == (1, at + MINUTE, at)


def test_what_it_missed_is_started_once_it_has_healed(make_schedule, refuse, monkeypatch):
    with monkeypatch.context():
        refuse("bad", IntegrityError("violates a constraint"))
        bad = make_schedule("0 * * * *", name="bad")
        ticker.tick(now=NOW + 60 * MINUTE)
    monkeypatch.undo()

    ticker.tick(now=NOW + 120 * MINUTE)

    bad.refresh_from_db()
    assert sessions(bad) == 2
    assert (bad.error, bad.failures, bad.retry_at) == ("", 0, None)


def test_failures_are_tried_again_after_one_minute_and_in_the_end_every_hour(make_schedule):
    schedule = make_schedule()
    Schedule.objects.filter(pk=schedule.pk).update(timezone="Mars/Base")
    at, waits = NOW + 60 * MINUTE, []

    for _ in range(8):
        ticker.tick(now=at)
        schedule.refresh_from_db()
        waits.append((schedule.retry_at - at) // MINUTE)
        at = schedule.retry_at

    assert waits == [1, 2, 5, 15, 30, 60, 60, 60]


def test_a_database_that_is_away_is_no_fault_of_a_schedule(make_schedule, refuse):
    refuse("any", OperationalError("server closed the connection"))
    schedule = make_schedule(name="any")

    with pytest.raises(OperationalError):
        ticker.tick(now=NOW + 60 * MINUTE)

    schedule.refresh_from_db()
    assert (schedule.failures, sessions(schedule)) == (0, 0)
