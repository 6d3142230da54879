"""The clock: django-celery-beat's scheduler, whose tick first starts the due sessions itself.

No message and no worker slot stand between the time and the session. The users' own PeriodicTasks go on as ever.
"""

import signal
import time
from datetime import UTC, datetime

import structlog
from celery.beat import Service
from celery.signals import beat_init
from django.db import DatabaseError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler

from scheduler import attempts, dispatch, ticker, turns

TICK_SECONDS = 1.0

log = structlog.get_logger(__name__)


class HindcastScheduler(DatabaseScheduler):  # type: ignore[misc] # django-celery-beat has no types
    """Claims due schedules every second, then lets the parent send what PeriodicTasks are due."""

    _next_tick = 0.0

    def tick(self, *args: object, **kwargs: object) -> float:
        """Returns how many seconds the beat may sleep: until its own next task or our next second."""
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + TICK_SECONDS
            start_due_sessions(datetime.now(UTC))
        parent_sleep = float(super().tick(*args, **kwargs) or 0)
        return max(0.0, min(parent_sleep, self._next_tick - time.monotonic()))


def start_due_sessions(now: datetime) -> None:
    """One tick. The database being away is logged and tried again a second later; the beat never ends for it."""
    try:
        ticked = ticker.tick(now=now)
        attempts.reap(now=now)
        turns.heal(now=now)
        dispatch.resend(now=now)
        if ticked.schedules:
            log.info("tick", started=ticked.started, skipped=ticked.skipped, failed=ticked.failed)
    except DatabaseError as error:
        log.warning("tick_failed", error=str(error))
        close_old_connections()


@beat_init.connect  # type: ignore[untyped-decorator]
def end_after_this_tick(sender: Service, **_: object) -> None:
    """SIGTERM and SIGINT end the beat once the tick under way is over.

    Celery's own handler uses the database on the spot, on top of whatever statement the signal interrupted, and then
    raises through it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sender.stop())
