"""The look at the broker after a fault finds what should not be there."""

import os
import shutil

import pytest
from django.conf import settings

from scheduler import dispatch
from scheduler.celery import app
from scheduler.models import Lane
from tests.faults.invariants import left_messages

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.usefixtures("own_broker")]


def send(count: int) -> None:
    for _ in range(count):
        app.send_task(dispatch.DRAIN_TASK, args=[Lane.MANUAL.value], queue=Lane.MANUAL.value)


def test_as_many_doorbells_as_the_window_holds_are_left_alone(transactional_db: None) -> None:
    send(2 * settings.HINDCAST_DOORBELLS)

    assert left_messages() == []


def test_one_more_is_found_also_while_it_is_under_way(transactional_db: None) -> None:
    send(2 * settings.HINDCAST_DOORBELLS + 1)
    queue = app.amqp.queues[Lane.MANUAL.value]
    with app.connection_for_read() as broker:
        kind = broker.transport.driver_type
        if kind == "redis":
            assert queue(broker.default_channel).get()

        found = left_messages()

    assert found == [f"{2 * settings.HINDCAST_DOORBELLS + 1} messages in {queue.name}"]


def test_a_message_that_was_taken_and_not_acknowledged_is_found(transactional_db: None) -> None:
    if not os.environ.get("TEST_BROKER_URL", "").startswith("amqp"):
        pytest.skip("RabbitMQ gives back what a worker took when its connection ends")
    if os.geteuid() != 0 or not shutil.which("rabbitmqctl"):
        pytest.skip("only the administrator of RabbitMQ may ask")
    send(1)
    queue = app.amqp.queues[Lane.MANUAL.value]
    with app.connection_for_read() as broker:
        assert queue(broker.default_channel).get()

        (found,) = left_messages()

    assert queue.name in found
