"""The database's clock decides; while it jumps, nothing is started."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from scheduler import beat, clock
from scheduler.beat import Ticking
from scheduler.celery import app
from scheduler.clock import Watch
from scheduler.models import Attempt, AttemptStatus, Heartbeat, Session

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_the_clock_of_the_database_is_asked(db):
    before = datetime.now(UTC)

    now = clock.database_now()

    assert now.utcoffset() == timedelta(0)
    assert abs(now - before) < 5 * SECOND
    time.sleep(0.02)
    assert clock.database_now() > now


@pytest.fixture
def watch():
    """A watch that has looked once, at noon."""
    watch = Watch()
    watch.look(now=NOW, uptime=1000.0)
    return watch


def test_the_first_look_has_nothing_to_compare_with(watch):
    assert watch.held is None


@pytest.mark.parametrize("pause", [1.0, 3600.0, 3 * 86_400.0])
def test_time_that_passes_for_both_is_no_jump(watch, pause):
    watch.look(now=NOW + timedelta(seconds=pause), uptime=1000.0 + pause)

    assert watch.held is None


@pytest.mark.parametrize(
    ("jump", "reason"),
    [
        (timedelta(minutes=10), None),
        (timedelta(minutes=-10), None),
        (timedelta(minutes=10, milliseconds=1), "the database's clock jumped by 10 minutes"),
        (timedelta(minutes=-10, milliseconds=-1), "the database's clock jumped back by 10 minutes"),
        (2 * DAY, "the database's clock jumped by 2 days"),
        (timedelta(hours=-1), "the database's clock jumped back by 1 hour"),
    ],
)
def test_a_jump_of_more_than_ten_minutes_holds(watch, jump, reason):
    watch.look(now=NOW + SECOND + jump, uptime=1001.0)

    assert (watch.held and watch.held.reason) == reason
    assert watch.held is None or watch.held.since == NOW


def test_three_looks_in_a_row_that_agree_end_the_hold(watch):
    watch.look(now=NOW + 2 * DAY, uptime=1001.0)
    held = []

    for second in (1, 2, 3):
        watch.look(now=NOW + 2 * DAY + second * SECOND, uptime=1001.0 + second)
        held.append(watch.held is not None)

    assert held == [True, True, False]


def test_a_jump_there_and_back_holds_from_the_first_to_three_looks_after_the_second(watch):
    steps = [2 * DAY, SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
    held = []

    for number, step in enumerate(steps):
        watch.look(now=NOW + step, uptime=1001.0 + number)
        held.append(watch.held.since if watch.held else None)

    assert held == [NOW, NOW, NOW, NOW, None]


@pytest.fixture
def tick_at(monkeypatch):
    """tick_at(moment): the next tick of one beat a second later, the database's clock saying `moment`."""
    ticking, seconds = Ticking("here:1"), [1000.0]
    monkeypatch.setattr(beat.dispatch, "resend", lambda **_: [])

    def tick(moment):
        seconds[0] += 1
        monkeypatch.setattr(clock, "database_now", lambda: moment)
        monkeypatch.setattr(clock, "uptime", lambda: seconds[0])
        return ticking.tick()

    return tick


def facts():
    return Heartbeat.objects.get(kind="beat", name="here:1").facts


def test_a_jump_for_one_tick_starts_nothing_of_the_future(schedule, tick_at):
    tick_at(NOW + SECOND)
    tick_at(NOW + 2 * DAY)

    assert facts() == {"held_since": "2026-03-02T12:00:01+00:00", "reason": "the database's clock jumped by 2 days"}
    for second in range(3, 8):
        tick_at(NOW + second * SECOND)

    assert Session.objects.count() == 0
    assert facts() == {}
    schedule.refresh_from_db()
    assert schedule.next_run_time == NOW + timedelta(hours=1)


def test_a_jump_that_stays_is_caught_up_after_the_hold(schedule, tick_at):
    tick_at(NOW + SECOND)

    counts = []
    for second in range(5):
        tick_at(NOW + timedelta(hours=5) + second * SECOND)
        counts.append(Session.objects.count())

    assert counts == [0, 0, 0, 5, 5]


def test_a_jump_forward_takes_no_attempt_from_its_worker(schedule, make_attempt, tick_at, settings):
    settings.HINDCAST_LEASE_SECONDS = 4
    attempt = make_attempt(schedule, status=AttemptStatus.RUNNING)
    tick_at(NOW + SECOND)
    Attempt.objects.update(lease_expires_at=NOW)  # long past for the database

    states = []
    for second in range(9):
        tick_at(NOW + DAY + second * SECOND)
        states.append(Attempt.objects.get(pk=attempt.pk).status)

    assert states[:7] == ["running"] * 7  # three seconds held, and the time of one lease
    assert states[-1] == "queued"


def test_a_beat_says_that_it_is_there_every_few_seconds(schedule, tick_at):
    said = []
    for second in range(1, 8):
        tick_at(NOW + second * SECOND)
        said.append(Heartbeat.objects.get().beat_at)

    assert said == [NOW + second * SECOND for second in (1, 1, 1, 4, 4, 4, 7)]
    assert Heartbeat.objects.get().started_at == NOW + SECOND


def test_a_beat_whose_ticks_fail_says_nothing(schedule, tick_at, monkeypatch):
    def away(**_):
        raise beat.DatabaseError("server closed the connection")

    monkeypatch.setattr(beat.ticker, "tick", away)
    monkeypatch.setattr(beat, "close_old_connections", lambda: None)

    tick_at(NOW + SECOND)

    assert not Heartbeat.objects.exists()


def test_beats_that_fell_silent_a_day_ago_are_forgotten(schedule, tick_at):
    Heartbeat.objects.create(kind="beat", name="gone:1", started_at=NOW - 9 * DAY, beat_at=NOW - DAY)

    tick_at(NOW + SECOND)

    assert Heartbeat.objects.get().name == "here:1"


def test_while_schedules_are_behind_what_comes_due_meanwhile_starts_before_they_have_caught_up(
    make_schedule, tick_at, monkeypatch
):
    monkeypatch.setattr(beat.ticker.tick, "__kwdefaults__", {"seconds": 0})
    long = make_schedule("* * * * *", name="long", at=NOW - HOUR)
    live = make_schedule("1", kind="seconds_interval", name="live", at=NOW)

    ends = [(tick_at(NOW + second * SECOND), started(live), started(long)) for second in (1, 2, 3)]

    assert ends == [(True, 1, 20), (True, 2, 40), (True, 3, 60)]
    assert not tick_at(NOW + 4 * SECOND)


def started(schedule):
    return Session.objects.filter(workflow=schedule.workflow).count()


@pytest.mark.parametrize(("behind", "sleep"), [(True, 0.0), (False, beat.TICK_SECONDS)])
def test_a_beat_does_not_sleep_while_schedules_are_behind(db, monkeypatch, behind, sleep):
    scheduler, ticks = beat.HindcastScheduler(app=app, lazy=True), []
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(scheduler, "_send_periodic_tasks", lambda: 5.0)
    monkeypatch.setattr(scheduler._ticking, "tick", lambda: ticks.append(behind) or behind)

    sleeps = [scheduler.tick(), scheduler.tick()]

    assert sleeps == [sleep, sleep]
    assert len(ticks) == (2 if behind else 1)
