"""What moves logs of attempts that are done into the storage: a thread of every worker, one of which has the lead.

It rests four times as long as it works, so that attempts keep the machine. While the storage is out of reach it
says so, leaves the logs where they are, and tries again.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from scheduler import clock, leadership, logs

LEAD = "log_files"
LOOK_SECONDS = 10.0
AWAY_SECONDS = 60.0
REST = 4.0
MOST_MOVED = 50  # between two rests
ORPHANS_SECONDS = 60.0  # from one folder to the next
ORPHAN_AGE = timedelta(hours=1)

log = structlog.get_logger(__name__)


class StorageAway(Exception):  # noqa: N818 - named as the fact
    """The storage of logs refused or did not answer."""


class LogSweeper:
    """One thread of the worker's main process."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._after = 0
        self._folders: list[str] = []
        self._orphans_at = 0.0

    def start(self, **_: object) -> None:
        """Once, although a worker is ready again after each loss of the broker."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._rounds, name="log-sweeper", daemon=True)
            self._thread.start()

    def end(self, **_: object) -> None:
        self._ended.set()

    def sweep(self) -> int:
        """Move the logs of some attempts. Returns of how many.

        Raises StorageAway, and what the database raises. The next sweep goes on behind the attempt that met it.
        """
        found = logs.movable(after=self._after, limit=MOST_MOVED)
        if found and not self._leads():
            return 0
        moved = self._move(found)
        if len(found) < MOST_MOVED:
            self._after = 0
        return moved

    def sweep_orphans(self, now: datetime) -> int:
        """Remove files that no row names from one folder of the storage, the next one each time. Returns how many.

        Raises as `sweep`.
        """
        with _storage():
            self._folders = self._folders or logs.folders()
            if not self._folders or not self._leads():
                return 0
            removed = logs.sweep_folder(self._folders.pop(0), before=now - ORPHAN_AGE)
        if removed:
            log.info("orphaned_logs_removed", files=removed)
        return removed

    def _leads(self) -> bool:
        return leadership.take(LEAD, owner=self._owner, seconds=settings.HINDCAST_LEASE_SECONDS)

    def _move(self, attempt_ids: Sequence[int]) -> int:
        """Those whose files were written are noted, also when the storage refuses the next."""
        written: list[logs.Written] = []
        try:
            with _storage():
                for attempt_id in attempt_ids:
                    self._after = attempt_id
                    if files := logs.write(attempt_id):
                        written.append(files)
        finally:
            moved = logs.note(written) if written else 0
        return moved

    def _rounds(self) -> None:
        rest = _look()
        while not self._ended.wait(rest):
            rest = self._round()

    def _round(self) -> float:
        """One sweep. Returns for how many seconds to rest."""
        began = time.monotonic()
        try:
            if self.sweep():
                return max(REST * (time.monotonic() - began), 0.05)
            if began >= self._orphans_at:
                self._orphans_at = began + ORPHANS_SECONDS
                self.sweep_orphans(clock.database_now())
            return _look()
        except StorageAway as error:
            log.warning("logs_not_moved", error=str(error))
            return AWAY_SECONDS
        except (DatabaseError, InterfaceError) as error:
            log.warning("logs_not_moved", error=str(error))
            return _look()
        finally:
            connection.close()  # children are forked meanwhile


def _look() -> float:
    return min(LOOK_SECONDS, max(settings.HINDCAST_LOG_MOVE_SECONDS, 0.1))


@contextmanager
def _storage() -> Iterator[None]:
    """Whatever is not the database's fault is that of the storage, and each has errors of its own."""
    try:
        yield
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:
        raise StorageAway(repr(error)) from error


sweeper = LogSweeper()
worker_ready.connect(sweeper.start, weak=False)
worker_shutdown.connect(sweeper.end, weak=False)
