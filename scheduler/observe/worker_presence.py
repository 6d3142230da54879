"""A worker says every ten seconds that it is there, and with how many slots; as it ends in good order, it leaves."""

import os
import socket
import threading
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutdown
from django.db import DatabaseError, InterfaceError, connection

from scheduler import presence
from scheduler.clock import database_now
from scheduler.models import Heartbeat

EVERY_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Presence:
    """One thread of the worker's main process."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sender: Any, **_: object) -> None:
        """`sender` is the consumer; it is ready again after each loss of the broker."""
        if self._thread is None:
            slots = int(sender.controller.concurrency)
            self._thread = threading.Thread(target=self._say_so, args=(slots,), name="worker-presence", daemon=True)
            self._thread.start()

    def end(self, **_: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join(1.0)  # the database may hang, and the worker has to end

    def _say_so(self, slots: int) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}"
        while not self._ended.is_set():
            say(name, slots)
            self._ended.wait(EVERY_SECONDS)
        leave(name)


def say(name: str, slots: int) -> None:
    """On a connection that is closed at once: ten seconds are long, and children are forked meanwhile."""
    try:
        presence.say(kind=Heartbeat.Kind.WORKER, name=name, facts={"slots": slots}, now=database_now())
    except (DatabaseError, InterfaceError) as error:
        log.warning("presence_not_noted", error=str(error))
    finally:
        connection.close()


def leave(name: str) -> None:
    try:
        presence.leave(name)
    except (DatabaseError, InterfaceError) as error:
        log.warning("presence_not_noted", error=str(error))
    finally:
        connection.close()


here = Presence()
worker_ready.connect(here.start, weak=False)
worker_shutdown.connect(here.end, weak=False)
