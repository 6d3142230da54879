"""What removes the workspaces that killed workers left: a thread of every worker, as it starts and once a lease later.

A workspace is made only after the claim that names it was committed. So whoever lists the folders first, and asks the
database only then, finds the lease of every folder that is in use, on whatever worker of this or another machine.
"""

import os
import re
import threading
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

import structlog
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from scheduler.execution.workspace import remove_folder
from scheduler.models import Attempt
from scheduler.models.attempt import LEASED

ASKED_AT_ONCE = 200
MOST_REMOVED = 200  # by one sweep

NAME = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)

log = structlog.get_logger(__name__)


class Sweeper:
    """One thread of the worker's main process."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._stuck: set[Path] = set()  # not tried, nor said, again by this worker

    def start(self, **_: object) -> None:
        """Once, although a worker is ready again after each loss of the broker."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._rounds, name="workspace-sweeper", daemon=True)
            self._thread.start()

    def end(self, **_: object) -> None:
        self._ended.set()

    def sweep(self) -> int:
        """Remove workspaces whose attempt does not run under their token. Returns how many.

        A bounded number; the next sweep goes on. Anything else in the folder is left alone. A database or a folder
        that is out of reach is logged.
        """
        removed = 0
        try:
            for folder in islice(_abandoned(Path(settings.HINDCAST_WORK_DIR), self._stuck), MOST_REMOVED):
                if remove_folder(folder):
                    removed += 1
                else:
                    self._stuck.add(folder)
        except (DatabaseError, InterfaceError, OSError) as error:
            log.warning("workspaces_not_swept", error=str(error))
        if removed:
            log.info("workspaces_swept", folders=removed)
        return removed

    def _rounds(self) -> None:
        """What is still leased is left to the next round. Where no folder is, no question is asked."""
        while not self._ended.is_set():
            try:
                self.sweep()
            finally:
                connection.close()  # children are forked meanwhile
            self._ended.wait(settings.HINDCAST_LEASE_SECONDS)


def _abandoned(work: Path, stuck: Collection[Path]) -> Iterator[Path]:
    there = ((claim, folder) for claim, folder in _workspaces(work) if folder not in stuck)
    while folders := dict(islice(there, ASKED_AT_ONCE)):
        held = _held({attempt_id for attempt_id, _ in folders})
        yield from (folder for claim, folder in folders.items() if claim not in held)


def _workspaces(work: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Folders by attempt and token. Listed to the end before the first is handed on."""
    try:
        with os.scandir(work) as entries:
            folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for folder in folders:
        if named := NAME.fullmatch(folder.name):
            yield (int(named[1]), int(named[2])), folder


def _held(attempt_ids: Collection[int]) -> set[tuple[int, int]]:
    leased = Attempt.objects.filter(pk__in=attempt_ids, status__in=LEASED)
    return set(leased.values_list("pk", "lease_token"))


sweeper = Sweeper()
worker_ready.connect(sweeper.start, weak=False)
worker_shutdown.connect(sweeper.end, weak=False)
