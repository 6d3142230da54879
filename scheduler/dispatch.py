"""The only outgoing line to Celery: doorbells, after commit, by lane; and the tasks that `celery>` sends to a queue.

A doorbell says "look at the table", nothing more. Losing or doubling one changes latency alone: `resend` rings again.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError
from kombu.messaging import Producer
from kombu.pools import producers

from scheduler.broker import DOORBELL_HEADER
from scheduler.celery import app
from scheduler.crashpoints import crashpoint
from scheduler.line import SILENT_SECONDS, line
from scheduler.models import Attempt, Lane

DRAIN_TASK = "scheduler.drain"
# A connection that lay idle may have been cut: one new one is tried, at once.
ONCE_MORE: dict[str, Any] = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

log = structlog.get_logger(__name__)


def ring(lane: Lane, *, attempts: int) -> None:
    """Once the transaction has committed, wake workers for `attempts` released attempts of `lane`."""
    bells = min(attempts, settings.HINDCAST_DOORBELLS)
    transaction.on_commit(lambda: send(lane, bells), robust=True)  # not a partial: Django logs the __qualname__


def send(lane: Lane, bells: int) -> None:
    """Send doorbells now, as far as the broker does not hold enough of them already.

    A broker out of reach is logged: the work is in the table and `resend` will ring.
    """
    crashpoint("dispatch.before_send")
    try:
        with producers[line()].acquire(block=True) as producer:
            for _ in range(min(bells, _room(lane, producer))):
                app.send_task(
                    DRAIN_TASK,
                    args=[lane.value],
                    queue=lane.value,
                    headers={DOORBELL_HEADER: True},
                    producer=producer,
                    retry_policy=ONCE_MORE,
                    ignore_result=True,
                )
    except broker_errors() as error:
        log.warning("doorbell_not_sent", lane=lane.value, error=str(error))


def _room(lane: Lane, producer: Producer) -> int:
    """How many more doorbells the broker is to hold; all there may be where none can be asked.

    Raises one of `broker_errors` when the broker is silent.
    """
    most: int = 2 * settings.HINDCAST_DOORBELLS
    if producer.connection is None or not producer.connection.connected:
        return most  # to connect is for the sending, which knows when to stop trying
    asked_at = time.monotonic()
    try:
        return most - _held(lane, producer.channel)
    except broker_errors():
        if time.monotonic() - asked_at > SILENT_SECONDS / 2:
            producer.connection.collect()  # to close it would be to wait twice more for an answer
            raise  # not a connection that was closed while it lay idle: nobody answers
        return most


def deliver(name: str, args: list[Any], kwargs: dict[str, Any], *, task_id: str, queue: str, heard_of: bool) -> None:
    """Send a task of somebody else's, now. `heard_of`: its result is to be kept where we can ask for it.

    Raises one of `broker_errors` when the broker did not take it, or perhaps did and could not say so.
    """
    with producers[line()].acquire(block=True) as producer:
        app.send_task(
            name,
            args=args,
            kwargs=kwargs,
            task_id=task_id,
            queue=queue,
            producer=producer,
            retry_policy=ONCE_MORE,
            ignore_result=not heard_of,
        )


def revoke(task_ids: Iterable[str]) -> None:
    """Ask the workers to drop tasks that were delivered, once the transaction has committed.

    Those that take orders from afar do, if the task has not begun. A broker out of reach is logged.
    """
    ids = list(task_ids)
    if ids:
        transaction.on_commit(lambda: _revoke(ids), robust=True)


def revoke_kept(kept: Iterable[Mapping[str, Any]]) -> None:
    """`revoke` what was sent by tasks that go on no more, by what they kept (`celery>`)."""
    revoke(what["celery"]["id"] for what in kept if "sent_at" in what.get("celery", {}))


def _revoke(task_ids: list[str]) -> None:
    try:
        with line() as connection:
            app.control.revoke(task_ids, connection=connection)
    except broker_errors() as error:
        log.warning("tasks_not_revoked", tasks=task_ids, error=str(error))


def resend(*, now: datetime) -> list[Lane]:
    """Ring for lanes whose released attempts wait although no doorbell is under way. Returns those lanes.

    Nobody has rung yet for attempts that lost their worker, or parked: they wait a while first.
    """
    wait = timedelta(seconds=settings.HINDCAST_RESEND_SECONDS)
    # The second: released by a clock that is ahead.
    old = Q(released_at__lt=now - wait) | Q(started_at=None, released_at__gt=now + wait)
    waiting = Attempt.objects.claimable().filter(old | Q(started_at__isnull=False, released_at__lte=Now()))
    silent = [lane for lane in Lane if waiting.filter(lane=lane).exists() and doorbells(lane) == 0]
    for lane in silent:
        send(lane, settings.HINDCAST_DOORBELLS)
    return silent


def doorbells(lane: Lane) -> int:
    """How many doorbells of `lane` the broker holds; 0 when it cannot be asked."""
    try:
        with line() as connection:
            connection.ensure_connection(**ONCE_MORE)  # left alone, it would wait seconds between its tries
            return _held(lane, connection.channel())
    except broker_errors() as error:
        log.warning("broker_out_of_reach", lane=lane.value, error=str(error))
        return 0


def _held(lane: Lane, channel: object) -> int:
    return int(app.amqp.queues[lane.value](channel).queue_declare().message_count)


def broker_errors() -> tuple[type[Exception], ...]:
    """What the configured broker raises when it cannot be reached or refuses."""
    connection = app.connection_for_write()
    return (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors)
