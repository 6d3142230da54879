"""One process at a time, by the database's clock."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from scheduler import clock, leadership
from scheduler.models import Leadership


def test_it_is_taken_once_and_prolonged_by_its_owner(db):
    assert leadership.take("tasks", owner="a:1", seconds=10)
    first = Leadership.objects.get().until

    assert not leadership.take("tasks", owner="b:1", seconds=10)
    assert leadership.take("tasks", owner="a:1", seconds=20)

    row = Leadership.objects.get()
    assert row.owner == "a:1"
    assert row.until > first + timedelta(seconds=9)


def test_another_takes_it_when_its_time_is_over(db):
    leadership.take("tasks", owner="a:1", seconds=10)
    Leadership.objects.update(until=clock.database_now() - timedelta(milliseconds=5))

    assert leadership.take("tasks", owner="b:1", seconds=10)
    assert not leadership.take("tasks", owner="a:1", seconds=10)


def test_another_takes_it_at_once_when_its_owner_lets_go(db):
    leadership.take("tasks", owner="a:1", seconds=10)
    leadership.let_go("tasks", owner="b:1")
    assert not leadership.take("tasks", owner="b:1", seconds=10)

    leadership.let_go("tasks", owner="a:1")

    assert leadership.take("tasks", owner="b:1", seconds=10)


def test_a_time_written_before_the_clock_was_set_back_does_not_count(db):
    leadership.take("tasks", owner="a:1", seconds=10)
    Leadership.objects.update(until=clock.database_now() + timedelta(days=2))

    assert leadership.take("tasks", owner="b:1", seconds=10)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_at_once_one_gets_it():
    barrier, answers = threading.Barrier(8), []

    def body(owner):
        try:
            barrier.wait(10)
            answers.append(leadership.take("tasks", owner=owner, seconds=10))
        finally:
            connection.close()

    threads = [threading.Thread(target=body, args=[f"host:{number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(answers) == [False] * 7 + [True]
