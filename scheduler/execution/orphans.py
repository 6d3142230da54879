"""Processes that left the group of their command, as daemons do: they do not outlive it, either.

A worker takes in the orphans among its descendants (PR_SET_CHILD_SUBREAPER), and finds those of a command by a mark in
their environment. One that has emptied its environment, too, is let go: it cannot be told from those of other commands.
"""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "COMMAND_ID"
PR_SET_CHILD_SUBREAPER = 36
LONGEST_SECONDS = 5.0  # for what starts others as fast as it is killed
PAUSE_SECONDS = 0.005


class Orphans:
    """Of this process; does nothing before `take_in`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._taken_in = False
        self._ours: set[int] = set()

    def take_in(self) -> None:
        """From now on orphans of this process's commands become its children."""
        with suppress(OSError, AttributeError):
            self._taken_in = ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    @contextmanager
    def starting(self) -> Iterator[set[int]]:
        """While a child is started: put its id into the set, so that nobody else waits for it."""
        with self._lock:
            yield self._ours

    def end(self, leader: int, mark: str) -> None:
        """Kill what the command `leader`, waited for and its group killed, left behind with its mark."""
        with self._lock:
            self._ours.discard(leader)
        until = time.monotonic() + LONGEST_SECONDS
        killed: set[int] = set()
        while self._taken_in and self._goes_on(leader, mark, killed) and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)

    def _goes_on(self, leader: int, mark: str, killed: set[int]) -> bool:
        """Kill those that are there; whether one has yet to end, as then its own children become orphans."""
        wanted = f"{MARK}={mark}".encode()
        with self._lock:
            others = [pid for pid in _children() if pid not in self._ours and not _is_over(pid)]
            found = {pid for pid in others if wanted in _environment(pid)}
            for pid in found:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            killed |= found
            return not killed.isdisjoint(others) or _has_members(leader)


def _is_over(pid: int) -> bool:
    """A child that has ended is waited for, so that nothing of it stays."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _children() -> list[int]:
    """Of the first thread, to which orphans come."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


orphans = Orphans()


def _forget_parent() -> None:
    """A forked child has no children yet."""
    orphans.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget_parent)
