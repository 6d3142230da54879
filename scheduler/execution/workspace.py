"""The folder in which an attempt works: made when a task needs it, with the project's files, removed at the end."""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import structlog
from django.conf import settings

from projects import archives
from scheduler.attempts import Claim
from scheduler.execution.operators.base import TaskFailed

log = structlog.get_logger(__name__)


class Workspace:
    """Named by numbers alone: the attempt and the token, so that two deliveries never share one."""

    def __init__(self, claim: Claim, archive: str) -> None:
        self._folder = Path(settings.HINDCAST_WORK_DIR) / f"{claim.attempt_id}.{claim.token}"
        self._attempt_id = claim.attempt_id
        self._archive = archive
        self._begun = self._made = False
        self._lock = threading.Lock()  # tasks that run at the same time ask for it at the same time

    def path(self, inside: str = "") -> Path:
        """The folder, made and filled at the first call; or one in it. Raises TaskFailed."""
        with self._lock:
            if not self._made:
                self._fill()
        return self._inside(inside) if inside else self._folder

    def _inside(self, name: str) -> Path:
        folder = (self._folder / name).resolve()
        if not folder.is_relative_to(self._folder.resolve()) or not folder.is_dir():
            raise TaskFailed(f"There is no folder {name[:200]!r} among the project's files.")
        return folder

    def _fill(self) -> None:
        """From the start, should an earlier try have failed."""
        self._begun = True
        try:
            self._make()
        except Exception as error:  # every storage has its own
            raise TaskFailed(f"The project's files could not be unpacked: {error}") from error
        self._made = True

    def _make(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        for left in self._folder.parent.glob(f"{self._attempt_id}.*"):
            remove_folder(left)  # a worker that was killed left it; this one alone holds the attempt now
        self._folder.mkdir(mode=0o700)
        if self._archive:
            archives.extract(self._archive, self._folder)

    def remove(self) -> None:
        """At the end of the attempt; `remove_folder` says how."""
        if not self._begun:
            return
        remove_folder(self._folder)


def remove_folder(folder: Path) -> bool:
    """Links in it are removed, never followed. False: something of it is left, and that was logged."""
    try:
        shutil.rmtree(folder)
    except OSError:
        _open_folders(folder)
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        log.warning("workspace_left", folder=folder.name)
        return False
    return True


def _open_folders(folder: Path) -> None:
    """Give ourselves back the folders that a task locked. Those of another user stay as they are."""
    _open(folder)
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            _open(Path(parent, name))


def _open(folder: Path) -> None:
    with suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(0o700)
