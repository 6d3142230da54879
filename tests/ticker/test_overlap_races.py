"""Ticks decide about overlaps while workers end attempts: nobody waits for ever, nothing dies of a deadlock."""

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from scheduler import attempts, ticker
from scheduler.models import Attempt, Lane, Session, Skip

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROUNDS = 20


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("overlap", ["skip", "queue_one", "cancel_running"])
def test_workers_end_attempts_while_two_tickers_decide(make_schedule, overlap):
    schedules = [make_schedule("* * * * *", name=f"w{number}", overlap=overlap) for number in range(6)]
    over, barrier, failures = threading.Event(), threading.Barrier(2), []

    def tick():
        for number in range(1, ROUNDS + 1):
            barrier.wait(30)
            ticker.tick(now=NOW + number * MINUTE)

    def work():
        while not over.is_set() or Attempt.objects.claimable().exists():
            held = attempts.claim(lanes=list(Lane), worker="w", now=NOW)
            time.sleep(random.uniform(0, 0.01))
            if held:
                attempts.succeed(held, now=NOW) or attempts.fail(held, reason={}, now=NOW)

    def guarded(body):
        def run():
            try:
                body()
            except Exception as error:
                failures.append(error)
                barrier.abort()
            finally:
                connection.close()

        return threading.Thread(target=run)

    tickers, workers = [guarded(tick), guarded(tick)], [guarded(work) for _ in range(3)]
    for thread in (*tickers, *workers):
        thread.start()
    for thread in tickers:
        thread.join(60)
    over.set()
    for thread in workers:
        thread.join(60)

    assert failures == []
    assert not Attempt.objects.live().exists()
    for schedule in schedules:
        schedule.refresh_from_db()
        assert (schedule.failures, schedule.error) == (0, "")
    assert Session.objects.count() + Skip.objects.count() == len(schedules) * ROUNDS
