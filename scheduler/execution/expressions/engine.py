"""The worker's side of the child that evaluates expressions: started when needed, watched, replaced when it dies."""

import atexit
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import zoneinfo
from contextlib import suppress
from pathlib import Path
from typing import Any

from scheduler.execution.expressions.budget import SECONDS
from scheduler.execution.expressions.errors import ExpressionFailed

CHILD = Path(__file__).with_name("child.py")
LONGEST_WAIT_SECONDS = 30.0  # by the wall; the child's own limit counts processor time, so a busy machine fails nothing
CHUNK_BYTES = 64 * 1024
MEMORY_SIGNALS = (signal.SIGTRAP, signal.SIGABRT, signal.SIGSEGV, signal.SIGILL, signal.SIGBUS)


class Engine:
    """One child of this process; one expression at a time. Safe to call from any thread, and after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.close)

    def ask(self, request: str, seconds: float) -> tuple[dict[str, Any], float]:
        """The child's answer to a request (realm.js), and the processor seconds it took, at most `seconds`.

        Raises ExpressionFailed when the expression killed the child.
        """
        line = f"{seconds:.3f} {request}\n".encode()
        with self._lock:
            try:
                return self._answer(line)
            except BaseException:  # whatever comes, an answer must not be taken for that of the next request
                self._end()
                raise

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._end()

    @property
    def pid(self) -> int | None:
        """The child's id; None when none runs that was not seen to end."""
        return self._process.pid if self._process else None

    def _answer(self, line: bytes) -> tuple[dict[str, Any], float]:
        process = self._running()
        answer = _exchange(process, line)
        if answer is None and _code(process) == 0:  # it went for want of work, at the same moment
            self._end()
            process = self._running()
            answer = _exchange(process, line)
        if answer is None:
            raise ExpressionFailed(_cause(_code(process)))
        seconds, _, said = answer.partition(b" ")
        return json.loads(said), float(seconds)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            self._process = _start()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        _close(process)

    def _forget(self) -> None:
        """In a process just forked: the child is the parent's, and so is whoever held the lock."""
        self._lock = threading.Lock()
        process, self._process = self._process, None
        if process is not None:
            process.returncode = 0
            _close(process)


def _start() -> subprocess.Popen[bytes]:
    """Nothing of this process reaches it, neither environment nor open files."""
    try:
        return subprocess.Popen(
            [sys.executable, "-I", str(CHILD), *zoneinfo.TZPATH],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"LANG": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise ExpressionFailed(f"The engine of expressions could not be started: {error}") from None


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> bytes | None:
    """The line that comes back; None when it died over it. Raises ExpressionFailed when it does not come."""
    assert process.stdin is not None
    assert process.stdout is not None
    answer = bytearray()
    until = time.monotonic() + LONGEST_WAIT_SECONDS
    with suppress(BrokenPipeError):
        _write(process.stdin.fileno(), line)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            if not selector.select(timeout=max(0.0, until - time.monotonic())):
                raise ExpressionFailed(f"No value came within {LONGEST_WAIT_SECONDS:g} s.")
            piece = os.read(process.stdout.fileno(), CHUNK_BYTES)
            if not piece:
                return None
            answer += piece
    return bytes(answer)


def _write(number: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(number, rest) :]


def _code(process: subprocess.Popen[bytes]) -> int:
    """How it ended; its pipe is closed by its end alone."""
    return process.wait(timeout=LONGEST_WAIT_SECONDS)


def _cause(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"It took more than {SECONDS:g} s of computing."
    if code < 0 and -code in MEMORY_SIGNALS:
        return "It needed more than 64 MB of memory."
    return f"The engine of expressions ended unexpectedly ({code})."


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
