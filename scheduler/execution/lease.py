"""The leases that this process holds: renewed by one thread, enforced by another that needs no database.

Whoever runs an attempt holds its lease. Once it is lost, because the database says so or has not answered for too
long, its child is killed and nothing more may be written. A cancel ends the child, too: SIGTERM, then SIGKILL.
Time is counted by a clock that goes on while the machine sleeps.
"""

import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Protocol

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.models import Attempt, AttemptStatus

LOOK_SECONDS = 1.0
GUARD_SECONDS = 0.25
TERMINATE_SECONDS = 10.0

log = structlog.get_logger(__name__)


class LeaseLost(Exception):  # noqa: N818 - named as the fact
    """The attempt is no longer ours: throw away what it did."""


class Canceled(Exception):  # noqa: N818 - named as the fact
    """Somebody asked to kill the attempt."""


class Killable(Protocol):
    def terminate(self) -> None: ...

    def kill(self) -> None: ...


def seconds() -> float:
    """A clock for durations alone."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """One held claim, and the children that run under it. Safe to use from several threads."""

    def __init__(self, claim: Claim, claimed_at: float) -> None:
        self.claim = claim
        self.renewed_at = claimed_at
        self.held_since = claimed_at
        self.given_up = False
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._children: list[Killable] = []
        self._lost = False
        self._cancel_at: float | None = None

    @property
    def lost(self) -> bool:
        return self._lost

    @property
    def canceled(self) -> bool:
        return self._cancel_at is not None

    def check(self) -> None:
        """Raises LeaseLost."""
        if self._lost:
            raise LeaseLost

    @contextmanager
    def over(self, child: Killable) -> Iterator[None]:
        """Kill `child` with the lease, as long as this lasts."""
        with self._lock:
            self._children.append(child)
            if self._lost:
                child.kill()
            elif self._cancel_at is not None:
                child.terminate()
        try:
            yield
        finally:
            with self._lock:
                self._children.remove(child)

    def lose(self) -> None:
        with self._lock:
            self._lost = True
            self._kill()

    def cancel(self) -> None:
        with self._lock:
            if self._cancel_at is None:
                self._cancel_at = seconds()
                for child in self._children:
                    child.terminate()

    def enforce(self, now: float) -> None:
        """What time alone decides: too long without a renewal, too long since the request to end."""
        if now - self.renewed_at > settings.HINDCAST_LEASE_SECONDS - settings.HINDCAST_RENEW_SECONDS:
            self.lose()
        elif self._cancel_at is not None and now - self._cancel_at > TERMINATE_SECONDS:
            self._kill()

    def _kill(self) -> None:
        with self._lock:
            for child in self._children:
                child.kill()


class Ending(IntEnum):
    """How the worker ends, if it does; it only ever gets more urgent."""

    NOT = 0
    WARM = 1  # claim no more
    GIVE_BACK = 2  # kill what runs and give it back
    COLD = 3  # and let the pool's processes be ended by signal


class Order:
    """The worker's order to end, in memory that it shares with the processes of its pool. No signal can lose it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def __call__(self) -> Ending:
        return Ending(self._memory[0])

    def give(self, ending: Ending) -> None:
        self._memory[0] = max(self._memory[0], ending)


order = Order()


class Keeper:
    """All leases of this process, and the threads that look after them while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[Claim, Lease] = {}
        self._threads: dict[str, threading.Thread] = {}

    @contextmanager
    def hold(self, claim: Claim, *, claimed_at: float) -> Iterator[Lease]:
        """Renew the lease of `claim`, taken at `claimed_at` (by `seconds()`) or later, as long as this lasts."""
        lease = Lease(claim, claimed_at)
        with self._lock:
            self._leases[claim] = lease
            self._look_after()
        try:
            with structlog.contextvars.bound_contextvars(attempt=claim.attempt_id):  # in every line of the log
                yield lease
        finally:
            with self._lock:
                del self._leases[claim]

    def give_up(self) -> None:
        """Kill what runs under every lease, at once: the worker ends."""
        for lease in tuple(self._leases.values()):
            lease.given_up = True
            lease.lose()

    def join(self) -> None:
        """Wait until both threads have seen that nothing is held, and ended."""
        for thread in tuple(self._threads.values()):
            thread.join()

    def _look_after(self) -> None:
        for name, rounds in (("lease-keeper", self._keep), ("lease-guard", self._guard)):
            if name not in self._threads:
                self._threads[name] = threading.Thread(target=rounds, name=name, daemon=True)
                self._threads[name].start()

    def _keep(self) -> None:
        """Rounds that ask the database. They may hang as long as it does."""
        renew_at = seconds() + settings.HINDCAST_RENEW_SECONDS
        try:
            for leases in self._rounds():
                if seconds() >= renew_at:
                    renew_at = seconds() + settings.HINDCAST_RENEW_SECONDS
                    _ask(renew, leases)
                else:
                    _ask(look, leases)
        finally:
            connection.close()

    def _guard(self) -> None:
        for leases in self._rounds(GUARD_SECONDS):
            if order() == Ending.GIVE_BACK:
                self.give_up()
            for lease in leases:
                lease.enforce(seconds())

    def _rounds(self, pause: float = LOOK_SECONDS) -> Iterator[list[Lease]]:
        """The leases every `pause` seconds; once there are none, this thread is forgotten and ends.

        It is forgotten in the same breath: a lease that is taken a moment later finds no thread, and starts one.
        """
        name = threading.current_thread().name
        try:
            while True:
                time.sleep(min(pause, settings.HINDCAST_RENEW_SECONDS))
                with self._lock:
                    leases = list(self._leases.values())
                    if not leases:
                        del self._threads[name]
                        return
                yield leases
        except GeneratorExit:  # the thread broke; the next lease starts another
            with self._lock:
                self._threads.pop(name, None)
            raise


def renew(leases: list[Lease]) -> None:
    """Prolong all of them in one statement; those missing in the answer are lost.

    One that is lost already ends, so that somebody else may begin, even while the thread that held it hangs.
    """
    asked_at = seconds()
    held = [lease for lease in leases if not lease.lost]
    answer = attempts.renew([lease.claim for lease in held])
    for lease in held:
        if lease.claim not in answer:
            lease.lose()
            continue
        lease.renewed_at = asked_at
        if answer[lease.claim] == AttemptStatus.CANCELING:
            lease.cancel()


def look(leases: list[Lease]) -> None:
    """Between renewals: which are to be killed? Attempts that have only just begun are left alone."""
    old = [lease for lease in leases if seconds() - lease.held_since > LOOK_SECONDS]
    if old:
        asked = Attempt.objects.filter(status=AttemptStatus.CANCELING, pk__in=[lease.claim.attempt_id for lease in old])
        canceling = set(asked.values_list("pk", flat=True))
        for lease in old:
            if lease.claim.attempt_id in canceling:
                lease.cancel()


def _ask(question: Callable[[list[Lease]], None], leases: list[Lease]) -> None:
    try:
        question(leases)
    except (DatabaseError, InterfaceError) as error:
        log.warning("leases_not_renewed", error=str(error), attempts=len(leases))
        connection.close()


keeper = Keeper()


def _forget_parent() -> None:
    """A forked child holds no lease, and has none of its parent's threads."""
    keeper.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget_parent)
