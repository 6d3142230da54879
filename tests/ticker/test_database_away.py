"""A beat whose database goes away, at whatever moment, goes on once it is there again."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import OperationalError, connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler.beat import HindcastScheduler
from scheduler.celery import app

PERIODIC = "django_celery_beat_periodictask"


def away(table: str) -> AbstractContextManager[None]:
    """While it lasts, the database fails whoever reads that table."""

    def fail(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if f'FROM "{table}"' in sql:
            raise OperationalError("terminating connection due to administrator command")
        return execute(sql, *rest)

    return connection.execute_wrapper(fail)


@pytest.fixture
def sent(transactional_db, own_broker, monkeypatch):
    """The names of the periodic tasks that were sent. There is one, `mine`, due every second."""
    interval = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="mine", task="shop.count", interval=interval, queue="celery")
    names: list[str] = []
    monkeypatch.setattr(HindcastScheduler, "apply_async", lambda self, entry, **_: names.append(entry.name))
    return names


@pytest.fixture
def scheduler():
    beats: list[HindcastScheduler] = []

    def start() -> HindcastScheduler:
        beats.append(HindcastScheduler(app=app, lazy=False))
        return beats[0]

    yield start
    for beat in beats:
        beat.close()


def test_a_beat_starts_while_the_database_is_away(sent, scheduler, wait_until):
    with away(PERIODIC):
        beat = scheduler()
        beat.tick()
    assert not sent

    wait_until(lambda: beat.tick() is not None and "mine" in sent)


def test_a_beat_goes_on_after_the_database_went_away_as_it_read_the_periodic_tasks(sent, scheduler, wait_until):
    beat = scheduler()
    wait_until(lambda: beat.tick() is not None and "mine" in sent)
    new = IntervalSchedule.objects.create(every=2, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="another", task="shop.count", interval=new, queue="celery")

    with away(PERIODIC):
        beat.tick()

    wait_until(lambda: beat.tick() is not None and "another" in sent)
