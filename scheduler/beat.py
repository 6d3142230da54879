"""The clock's process: django-celery-beat's scheduler, whose tick first starts the due sessions itself.

No message and no worker slot stand between the time and the session. The users' own PeriodicTasks go on as ever, sent
by one beat at a time.
"""

import os
import signal
import socket
import time
from datetime import datetime

import structlog
from celery.beat import Service
from celery.signals import beat_init
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler

from scheduler import attempts, clock, dispatch, leadership, presence, ticker, turns
from scheduler.models import Heartbeat

TICK_SECONDS = 1.0
HEARTBEAT_SECONDS = 3.0
PERIODIC_TASKS = "periodic_tasks"
LEADER_SECONDS = 10.0
AWAY = (DatabaseError, InterfaceError)

log = structlog.get_logger(__name__)


class HindcastScheduler(DatabaseScheduler):  # type: ignore[misc] # django-celery-beat has no types
    """Claims due schedules every second, then lets the parent send what PeriodicTasks are due, if it is to."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._ticking = Ticking(self.name)
        self._lead = Lead(self.name)
        self._next_tick = 0.0
        self._is_read = False
        super().__init__(*args, **kwargs)
        self.sync_every_tasks = 1  # who takes over reads from the database what was sent

    def tick(self, *args: object, **kwargs: object) -> float:
        """Returns how many seconds the beat may sleep: until its own next task or our next second.

        While schedules are behind, one tick follows the other at once: each looks first at what has come due.
        """
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + TICK_SECONDS
            if self._ticking.tick():
                self._next_tick = 0.0
        sleep = self._send_periodic_tasks(*args, **kwargs)
        return max(0.0, min(sleep, self._next_tick - time.monotonic()))

    def setup_schedule(self) -> None:
        """Nothing yet: the beat that sends reads what there is to send, once the database is there."""

    def _send_periodic_tasks(self, *args: object, **kwargs: object) -> float:
        if not self._lead.is_ours:
            self._forget()
        if not self._lead.keep():
            return TICK_SECONDS
        try:
            if not self._is_read:
                self._read()
            return float(super().tick(*args, **kwargs) or 0)
        except AWAY as error:
            _away(error)
            self._is_read = False
            return TICK_SECONDS

    def _forget(self) -> None:
        """Another beat may have sent tasks since we looked."""
        self._is_read = False
        self._dirty.clear()

    def _read(self) -> None:
        """The tasks of the database, and into it those of the configuration. Half of that is never kept."""
        self._initial_read = True
        super().setup_schedule()
        self._heap = None
        self._is_read = True

    def close(self) -> None:
        super().close()
        self._lead.let_go()
        self._ticking.leave()


class Ticking:
    """The ticks of one beat, by the database's clock, held while that clock jumps."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._watch = clock.Watch()
        self._next_heartbeat = 0.0
        self._reap_from = 0.0

    def tick(self) -> bool:
        """One tick, and word of it. True: schedules are behind, and there may be more to do at once.

        The database being away is logged and tried again a second later.
        """
        try:
            now, uptime = clock.database_now(), clock.uptime()
            self._look(now, uptime)
            ticked = None if self._watch.held else start_due_sessions(now, reap=uptime >= self._reap_from)
            if self._watch.held or ticked:
                self._say(now, uptime)
        except AWAY as error:
            _away(error)
            return False
        return bool(ticked and ticked.behind)

    def _look(self, now: datetime, uptime: float) -> None:
        before = self._watch.held
        self._watch.look(now=now, uptime=uptime)
        held = self._watch.held
        if held != before:
            self._next_heartbeat = 0.0
            # A jump ends every lease at a stroke: the workers get the time to renew them.
            self._reap_from = uptime + settings.HINDCAST_LEASE_SECONDS
            if held:
                log.warning("tick_held", since=held.since.isoformat(), reason=held.reason)
            else:
                log.info("tick_goes_on")

    def _say(self, now: datetime, uptime: float) -> None:
        if uptime < self._next_heartbeat:
            return
        self._next_heartbeat = uptime + HEARTBEAT_SECONDS
        held = self._watch.held
        facts = {"held_since": held.since.isoformat(), "reason": held.reason} if held else {}
        presence.say(kind=Heartbeat.Kind.BEAT, name=self._name, facts=facts, now=now)
        if not held:
            presence.forget_the_silent(now=now)

    def leave(self) -> None:
        try:
            presence.leave(self._name)
        except AWAY as error:
            _away(error)


class Lead:
    """Whether this beat is the one that sends the users' PeriodicTasks."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._until = self._renew_at = 0.0

    @property
    def is_ours(self) -> bool:
        """Ends a little before it does in the database, so that two never think so at once."""
        return clock.uptime() < self._until

    def keep(self) -> bool:
        """Ask for it, or prolong it in time. False: another beat has it, or the database is away."""
        asked = clock.uptime()
        if asked < self._renew_at:
            return self.is_ours
        self._renew_at = asked + TICK_SECONDS
        try:
            taken = leadership.take(PERIODIC_TASKS, owner=self._owner, seconds=LEADER_SECONDS)
        except AWAY as error:
            _away(error)
            return self.is_ours
        self._until = asked + 0.8 * LEADER_SECONDS if taken else 0.0
        return taken

    def let_go(self) -> None:
        self._until = 0.0
        try:
            leadership.let_go(PERIODIC_TASKS, owner=self._owner)
        except AWAY as error:
            _away(error)


def start_due_sessions(now: datetime, *, reap: bool = True) -> ticker.Ticked | None:
    """One tick. None: the database is away; that is logged, and the beat never ends for it."""
    try:
        ticked = ticker.tick(now=now)
        if reap:
            attempts.reap(now=now)
        turns.heal(now=now)
        dispatch.resend(now=now)
        if ticked.schedules:
            log.info("tick", started=ticked.started, skipped=ticked.skipped, failed=ticked.failed)
    except AWAY as error:
        _away(error)
        return None
    return ticked


def _away(error: Exception) -> None:
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
