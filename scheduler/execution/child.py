"""A child process that leads a group of its own, and what is left of it afterwards: nothing."""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

from scheduler.crashpoints import crashpoint
from scheduler.execution.guardian import guardian
from scheduler.execution.operators.base import TaskFailed
from scheduler.execution.orphans import MARK, orphans

# Nothing of a command runs before its guardian knows of it: the shell waits for a line, which a worker that is
# killed between the two never writes.
GATE = "read -r HINDCAST_GATE || exit 1; exec </dev/null; "
ALLOWED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
CHUNK_BYTES = 64 * 1024
# What a pipe may still hold when its child has ended; a stranger that goes on writing is not waited for.
REST_CHUNKS = 32
# How long after its time is over a child may take to end.
LAST_SECONDS = 5.0


def environment(workspace: Path, more: Mapping[str, str]) -> dict[str, str]:
    """An allow list, as the worker's own environment holds the keys of the house."""
    kept = {name: os.environ[name] for name in ALLOWED if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **kept, "HOME": str(workspace), **more}


class Child:
    """A running child. `terminate` and `kill` may come from any thread, at any time; all else from one."""

    def __init__(
        self,
        command: str,
        arguments: Sequence[str] = (),
        *,
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Starts it in a shell, with `arguments` as its `$0`, `$1`, …. Raises TaskFailed when the system refuses."""
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._killed = self._reaped = False
        self._mark = token_hex(8)
        self._ends_at = float("inf")
        self.timed_out = False
        try:
            with orphans.starting() as ours:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", GATE + command, *arguments],
                    cwd=cwd,
                    env={**env, MARK: self._mark},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=pass_fds,
                    start_new_session=True,
                    bufsize=0,
                )
                ours.add(self._process.pid)
        except (OSError, ValueError) as error:
            raise TaskFailed(f"The command could not be started: {error}") from None
        crashpoint("child.before_watch")
        guardian.watch(self._process.pid)
        self._open_gate()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def wait(
        self, on_output: Callable[[bytes], None], every_second: Callable[[], None], *, timeout: float | None = None
    ) -> int:
        """Hand its output on until it ends. Returns the exit code; minus the signal, if one ended it.

        After `timeout` seconds it is told to end, LAST_SECONDS later it is killed, and `timed_out` says so. Whatever is
        left of its group is killed then. A process that left the group and still holds the pipe is not waited for.
        """
        self._ends_at = float("inf") if timeout is None else time.monotonic() + timeout
        output = self._process.stdout
        assert output is not None
        os.set_blocking(output.fileno(), False)
        ended = os.pidfd_open(self._process.pid)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(ended, selectors.EVENT_READ)
                selector.register(output, selectors.EVENT_READ)
                self._pump(selector, output, ended, on_output, every_second)
        finally:
            os.close(ended)
            self._end()
        for _ in range(REST_CHUNKS):
            if not (rest := _read(output)):
                break
            on_output(rest)
        return self._process.returncode

    def close(self) -> None:
        """End it if it still runs; harmless when it has ended."""
        self._end()
        if self._process.stdout:
            self._process.stdout.close()

    def _open_gate(self) -> None:
        gate = self._process.stdin
        assert gate is not None
        with suppress(BrokenPipeError), gate:  # it may be dead already
            gate.write(b"\n")

    def _pump(
        self,
        selector: selectors.BaseSelector,
        output: IO[bytes],
        ended: int,
        on_output: Callable[[bytes], None],
        every_second: Callable[[], None],
    ) -> None:
        while True:
            ready = {key.fd for key, _ in selector.select(timeout=self._until_next_look())}
            if output.fileno() in ready:
                if piece := _read(output):
                    on_output(piece)
                elif piece == b"":
                    selector.unregister(output)
            if ended in ready:
                return
            self._look_at_the_time()
            every_second()

    def _until_next_look(self) -> float:
        return min(1.0, max(self._ends_at - time.monotonic(), 0.0))

    def _look_at_the_time(self) -> None:
        """Its time is over: SIGTERM, and SIGKILL when that did not end it."""
        if time.monotonic() < self._ends_at:
            return
        self._signal(signal.SIGKILL if self.timed_out else signal.SIGTERM)
        self._ends_at = time.monotonic() + LAST_SECONDS
        self.timed_out = True

    def _end(self) -> None:
        """Kill the rest of the group, then reap the leader: its id names the group until then, and nothing else.

        What left the group comes last. Nobody who signals has to wait meanwhile, however long a process takes to die.
        """
        with self._lock:
            if not self._killed:
                _kill_group(self._process.pid, signal.SIGKILL)
                guardian.forget(self._process.pid)
                self._killed = True
        if not self._reaped:
            self._process.wait()
            self._reaped = True
            orphans.end(self._process.pid, self._mark)

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self._killed:
                _kill_group(self._process.pid, number)


def signal_name(number: int) -> str:
    """`SIGKILL`; `signal 35` for one of those that have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _kill_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left, or only processes of another user
        os.killpg(leader, number)


def _read(output: IO[bytes]) -> bytes | None:
    """What is there; b"" at the end, None when there is nothing yet."""
    return output.read(CHUNK_BYTES)
