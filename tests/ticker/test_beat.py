"""The clock as a real process: due schedules start on time, and the users' own periodic tasks go on as ever."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler import dispatch
from scheduler.celery import app
from scheduler.models import Attempt, AttemptStatus, Heartbeat, Lane, Leadership, Session

pytestmark = pytest.mark.processes


@pytest.fixture
def every_second(transactional_db, make_schedule):
    """A schedule with a session every second, from now on."""
    return make_schedule("1", kind="seconds_interval", at=datetime.now(UTC))


@pytest.fixture
def every_second_mine(transactional_db):
    """A periodic task of a user's own, due every second. Gives a function: how many of its messages are waiting."""
    interval = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="mine", task="shop.count", interval=interval, queue="celery")

    def messages():
        with app.connection_for_read() as broker:
            return app.amqp.queues["celery"](broker.default_channel).queue_declare().message_count

    return messages


def test_a_beat_starts_due_sessions_every_second_and_a_worker_runs_them(
    every_second, live_worker, start_beat, wait_until
):
    start_beat()

    done = Attempt.objects.filter(status=AttemptStatus.SUCCESS)
    wait_until(lambda: done.count() >= 3, timeout=30)

    first, second, third = Session.objects.order_by("session_time")[:3]
    assert second.session_time - first.session_time == timedelta(seconds=1)
    assert third.session_time - second.session_time == timedelta(seconds=1)
    lags = [a.released_at - a.session.session_time for a in done.select_related("session").order_by("pk")[1:3]]
    assert all(lag >= timedelta(0) for lag in lags)  # how long it takes is measured in bench/


def test_the_users_own_periodic_tasks_go_on(every_second_mine, start_beat, wait_until):
    start_beat()

    wait_until(lambda: every_second_mine() >= 2, timeout=30)


def test_a_beat_ends_in_good_order(transactional_db, start_beat):
    beat = start_beat()

    assert beat.stop(timeout=10) == 0


@pytest.mark.postgres
def test_a_beat_that_is_asked_to_end_in_the_middle_of_a_statement_ends(
    every_second, every_second_mine, start_beat, wait_until
):
    beat = start_beat()
    wait_until(lambda: Session.objects.count() > 1)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE scheduler_schedule")
        time.sleep(1.5)
        beat.process.terminate()
        time.sleep(0.5)

    assert beat.process.wait(10) == 0


def test_two_beats_start_every_session_once(every_second, start_beat, wait_until):
    beats = [start_beat(), start_beat()]

    wait_until(lambda: Session.objects.count() >= 4, timeout=30)
    for beat in beats:
        beat.stop()

    times = list(Session.objects.order_by("session_time").values_list("session_time", flat=True))
    assert times == [times[0] + timedelta(seconds=n) for n in range(len(times))]
    assert Attempt.objects.count() == len(times)


def test_a_beat_rings_again_for_work_whose_doorbell_was_lost(
    schedule, make_attempt, transactional_db, live_worker, start_beat, wait_until
):
    attempt = make_attempt(
        schedule, status=AttemptStatus.QUEUED, lane=Lane.MANUAL, released_at=datetime.now(UTC) - timedelta(minutes=1)
    )
    assert dispatch.doorbells(Lane.MANUAL) == 0

    start_beat()

    wait_until(lambda: Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.SUCCESS, timeout=30)


def test_two_beats_send_a_users_task_once(every_second_mine, start_beat, wait_until):
    start_beat(), start_beat()
    wait_until(lambda: every_second_mine() >= 2, timeout=30)
    before, start = every_second_mine(), time.monotonic()

    time.sleep(6)

    sent, seconds = every_second_mine() - before, time.monotonic() - start
    assert 0 < sent <= seconds + 1.5  # twice would be 12


def test_another_beat_goes_on_with_the_users_tasks(every_second_mine, start_beat, wait_until):
    first = start_beat()
    wait_until(lambda: every_second_mine() >= 1, timeout=30)
    start_beat()

    first.stop()

    sent = every_second_mine()
    wait_until(lambda: every_second_mine() >= sent + 2, timeout=30)


def test_a_beat_is_seen_while_it_runs_and_gone_when_it_has_ended(transactional_db, start_beat, wait_until):
    beat = start_beat()

    wait_until(lambda: Heartbeat.objects.filter(kind="beat", name__endswith=f":{beat.pid}").exists())
    wait_until(lambda: Leadership.objects.filter(owner__endswith=f":{beat.pid}").exists())
    beat.stop()

    assert not Heartbeat.objects.exists()
    assert not Leadership.objects.exists()
