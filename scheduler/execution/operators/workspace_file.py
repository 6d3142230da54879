"""A file of the project, as a task names it: one inside the workspace, whatever links there are."""

import os
import stat
from contextlib import closing
from pathlib import Path

from projects.paths import BadPath, checked, shown
from scheduler.execution.operators.base import TaskFailed


def content_of(workspace: Path, name: str, *, most_bytes: int) -> bytes:
    """Raises TaskFailed for what is no file inside, and for one of more than `most_bytes`."""
    try:
        path = (workspace / checked(name)).resolve()
    except BadPath as refusal:
        raise TaskFailed(str(refusal)) from None
    if not path.is_relative_to(workspace.resolve()):
        raise TaskFailed(f"{shown(name)} leads out of the project's files.")
    try:
        with closing(_Open(path)) as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise TaskFailed(f"There is no file {shown(name)} among the project's files.") from None
    except OSError as error:
        raise TaskFailed(f"{shown(name)} cannot be read: {error.strerror}.") from None
    if len(content) > most_bytes:
        raise TaskFailed(f"{shown(name)} has more than {most_bytes} bytes.")
    return content


class _Open:
    """An open file; neither a link that came up meanwhile, nor a pipe that nobody writes to."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(self._number).st_mode):
            self.close()
            raise OSError(0, "it is not a file")

    def read(self, most: int) -> bytes:
        content = bytearray()
        while len(content) < most and (piece := os.read(self._number, most - len(content))):
            content += piece
        return bytes(content)

    def close(self) -> None:
        os.close(self._number)
