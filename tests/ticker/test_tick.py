"""Due schedules become sessions and attempts (or skips), once, and the cursor moves with them."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from scheduler import beat, dispatch, ticker
from scheduler.models import Attempt, AttemptStatus, Lane, Schedule, Session, Skip

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def session_times():
    return list(Session.objects.order_by("session_time").values_list("session_time", flat=True))


def test_nothing_starts_before_the_time(schedule):
    ticked = ticker.tick(now=NOW + HOUR - timedelta(microseconds=1))

    assert ticked == ticker.Ticked()
    assert session_times() == []


def test_a_session_starts_at_its_time_with_a_released_attempt(schedule):
    ticked = ticker.tick(now=NOW + HOUR)

    attempt = Attempt.objects.select_related("session").get()
    assert ticked == ticker.Ticked(schedules=1, started=1)
    assert attempt.session.session_time == NOW + HOUR
    assert (attempt.name, attempt.index, attempt.lane, attempt.status) == ("", 1, "scheduled", "queued")
    assert attempt.released_at == NOW + HOUR
    assert attempt.definition == schedule.definition
    assert attempt.workflow == attempt.session.workflow == schedule.workflow


def test_the_cursor_moves_to_the_next_session(schedule):
    ticker.tick(now=NOW + HOUR)

    schedule.refresh_from_db()
    assert schedule.next_session_time == schedule.next_run_time == NOW + 2 * HOUR
    assert schedule.last_session_time == NOW + HOUR


def test_a_second_tick_at_the_same_time_starts_nothing_more(schedule):
    ticker.tick(now=NOW + HOUR)

    assert ticker.tick(now=NOW + HOUR) == ticker.Ticked()
    assert len(session_times()) == 1


def test_the_session_of_a_daily_schedule_is_for_midnight_and_runs_later(make_schedule):
    make_schedule("07:00:00", kind="daily", timezone="Asia/Tokyo")
    seven_in_tokyo = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)

    assert ticker.tick(now=seven_in_tokyo - timedelta(seconds=1)).started == 0
    assert ticker.tick(now=seven_in_tokyo).started == 1
    assert session_times() == [datetime(2026, 3, 2, 15, 0, tzinfo=UTC)]


def test_sessions_that_came_due_meanwhile_are_caught_up_in_order(schedule):
    ticker.tick(now=NOW + 4 * HOUR)

    assert session_times() == [NOW + n * HOUR for n in (1, 2, 3, 4)]
    executed = Attempt.objects.order_by("pk").values_list("last_executed_session_time", flat=True)
    assert list(executed) == [None, NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR]


def test_one_pass_takes_twenty_slots_of_a_schedule_at_the_most(make_schedule):
    behind, on_time = make_schedule("* * * * *", name="behind"), make_schedule("30 12 * * *", name="on_time")

    ticker.tick(now=NOW + HOUR, seconds=0)

    assert Session.objects.filter(workflow=behind.workflow).count() == 20
    assert Session.objects.filter(workflow=on_time.workflow).count() == 1
    ticker.tick(now=NOW + HOUR, seconds=0)
    assert Session.objects.filter(workflow=behind.workflow).count() == 40


def test_a_session_that_is_there_already_counts_as_executed_and_is_passed_over(schedule, make_attempt):
    make_attempt(schedule, NOW + HOUR, name="by hand")

    ticked = ticker.tick(now=NOW + HOUR)

    schedule.refresh_from_db()
    assert ticked.started == 0
    assert Attempt.objects.count() == 1
    assert schedule.last_session_time == NOW + HOUR
    assert schedule.next_session_time == NOW + 2 * HOUR


def test_a_disabled_schedule_does_not_move(make_schedule):
    make_schedule(disabled_at=NOW)

    assert ticker.tick(now=NOW + 5 * HOUR) == ticker.Ticked()


def test_schedules_of_a_deleted_project_do_not_move(schedule):
    project = schedule.workflow.project
    project.deleted_at = NOW
    project.save()

    assert ticker.tick(now=NOW + 5 * HOUR) == ticker.Ticked()


def test_after_its_last_day_a_schedule_has_no_next_session(make_schedule):
    schedule = make_schedule(end_date=date(2026, 3, 2))

    ticker.tick(now=NOW + 20 * HOUR)

    schedule.refresh_from_db()
    assert session_times()[-1] == NOW + 11 * HOUR
    assert (schedule.next_session_time, schedule.next_run_time) == (None, None)


def test_a_session_too_late_to_start_is_skipped_and_the_skip_is_kept(make_schedule):
    schedule = make_schedule(skip_delayed_by=1800)

    ticked = ticker.tick(now=NOW + 3 * HOUR + timedelta(minutes=30))

    skips = Skip.objects.filter(schedule=schedule).order_by("session_time")
    assert [(skip.session_time, skip.reason) for skip in skips] == [(NOW + n * HOUR, "delayed") for n in (1, 2)]
    assert session_times() == [NOW + 3 * HOUR]
    assert (ticked.started, ticked.skipped) == (1, 2)


def test_a_session_is_skipped_while_an_earlier_one_is_not_done(make_schedule, make_attempt):
    schedule = make_schedule(overlap="skip")
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)

    ticker.tick(now=NOW + HOUR)
    Attempt.objects.filter(pk=attempt.pk).update(status="success", finished_at=NOW, lease_expires_at=None)
    ticker.tick(now=NOW + 2 * HOUR)

    assert list(Skip.objects.values_list("session_time", "reason")) == [(NOW + HOUR, "overtime")]
    assert session_times() == [NOW, NOW + 2 * HOUR]
    schedule.refresh_from_db()
    assert schedule.last_session_time == NOW + 2 * HOUR


def test_a_schedule_that_fails_is_noted_on_its_row_and_stops_no_other(make_schedule):
    good, bad = make_schedule(name="good"), make_schedule(name="bad")
    Schedule.objects.filter(pk=bad.pk).update(timezone="Mars/Base")

    ticked = ticker.tick(now=NOW + HOUR)

    bad.refresh_from_db()
    assert (ticked.started, ticked.failed) == (1, 1)
    assert Session.objects.get().workflow == good.workflow
    assert "Mars/Base" in bad.error
    assert (bad.failures, bad.retry_at) == (1, NOW + HOUR + timedelta(minutes=1))
    assert bad.next_session_time == NOW + HOUR


def test_a_schedule_that_fails_is_tried_again_later_and_later_and_heals(make_schedule):
    bad = make_schedule()
    Schedule.objects.filter(pk=bad.pk).update(timezone="Mars/Base")
    ticker.tick(now=NOW + HOUR)

    assert ticker.tick(now=NOW + HOUR + timedelta(seconds=59)).failed == 0
    assert ticker.tick(now=NOW + HOUR + timedelta(seconds=60)).failed == 1
    Schedule.objects.filter(pk=bad.pk).update(timezone="UTC")
    assert ticker.tick(now=NOW + HOUR + timedelta(minutes=3)).started == 1

    bad.refresh_from_db()
    assert (bad.error, bad.failures, bad.retry_at) == ("", 0, None)


def test_the_number_of_statements_does_not_grow_with_the_schedules(make_schedule):
    def statements(at):
        with CaptureQueriesContext(connection) as queries:
            ticker.tick(now=at)
        return len(queries)

    make_schedule(name="w0")
    for_one = statements(NOW + HOUR)
    for number in range(1, 30):
        make_schedule(name=f"w{number}", at=NOW + HOUR)

    assert statements(NOW + 2 * HOUR) == for_one
    assert Session.objects.count() == 31


def test_the_doorbell_rings_after_the_commit(schedule, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr(dispatch, "send", lambda lane, bells: rung.append((lane, bells)))

    with django_capture_on_commit_callbacks(execute=True):
        ticker.tick(now=NOW + 3 * HOUR)

    assert rung == [(Lane.BACKFILL, 2), (Lane.SCHEDULED, 1)]


@pytest.mark.django_db(transaction=True)
def test_five_tickers_at_once_start_every_session_once(make_schedule):
    for number in range(40):
        make_schedule(name=f"w{number}")
    barrier, started = threading.Barrier(5), []

    def body():
        try:
            barrier.wait(10)
            started.append(ticker.tick(now=NOW + 2 * HOUR).started)
        finally:
            connection.close()

    threads = [threading.Thread(target=body) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(started) == 5
    assert sum(started) == Session.objects.count() == Attempt.objects.count() == 80


def test_the_beat_goes_on_when_the_database_is_away(db, monkeypatch):
    def away(**_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(ticker, "tick", away)
    monkeypatch.setattr(beat, "close_old_connections", lambda: None)

    beat.start_due_sessions(NOW)
