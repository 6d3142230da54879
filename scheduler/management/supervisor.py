"""Several programs as one: forked from one process, restarted when they fall, ended together.

Everything is imported before the fork, so that the programs share its memory. What they write comes out line by line
behind their names. None outlives the supervisor: each holds the reading end of a pipe (the lifeline) whose writing
end only the supervisor has, and ends when that closes, however the supervisor died.
"""

import gc
import os
import selectors
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

# What a program is told to make it end, and after how many seconds: in order; at once, with what it can still put
# right (a worker gives back the attempts that it runs); not asked any more.
ENDINGS = ((0.0, signal.SIGTERM), (4.0, signal.SIGQUIT), (8.0, signal.SIGKILL))
BACKOFF_SECONDS = (0.2, 1.0, 3.0, 10.0)
STEADY_SECONDS = 30.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_LINE = 65_536


@dataclass(frozen=True)
class Program:
    """One of the processes: its name in the output, and what it does until it is told to end by SIGTERM."""

    name: str
    run: Callable[[], None]


@dataclass
class Place:
    """Where one program runs, time after time."""

    program: Program
    pid: int = 0
    output: int = -1
    started_at: float = 0.0
    failures: int = 0
    due_at: float | None = 0.0
    unfinished: bytearray = field(default_factory=bytearray)


class Supervisor:
    """Keeps `programs` running until SIGINT, SIGTERM or SIGHUP, or until `is_wanted` says no.

    `on_turn` is called about every 50 ms until it returns True: what to say once everything answers.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        on_turn: Callable[[], bool],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._width = max(len(program.name) for program in programs)
        self._places = [Place(program) for program in programs]
        self._on_turn = on_turn
        self._is_wanted = is_wanted
        self._announced = False
        self._signals = 0
        self._selector = selectors.DefaultSelector()
        self._lifeline = os.pipe()

    def run(self) -> None:
        """Returns when every program has ended."""
        for number in ENDING_SIGNALS:
            signal.signal(number, self._on_signal)
        gc.collect()
        gc.freeze()  # the collector leaves alone what is shared, so that its pages stay shared
        while not self._signals and self._is_wanted():
            self._start_due()
            self._pass_on_output(0.05 if not self._announced else 0.5)
            self._notice_ends()
            self._announced = self._announced or self._on_turn()
        self._end_all()

    def say(self, text: str) -> None:
        """A line of the supervisor's own, in the programs' output."""
        self._write(" " * self._width, text.encode())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    # --- starting ---------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        for place in self._places:
            if place.due_at is not None and place.due_at <= time.monotonic():
                self._start(place)

    def _start(self, place: Place) -> None:
        output, their_output = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become(place.program, their_output)
        os.close(their_output)
        os.set_blocking(output, False)
        place.pid, place.output, place.started_at, place.due_at = pid, output, time.monotonic(), None
        self._selector.register(output, selectors.EVENT_READ, place)

    def _become(self, program: Program, output: int) -> NoReturn:
        """The forked process, from here to its end."""
        code = 1
        try:
            self._leave_the_supervisor_behind(output)
            program.run()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # noqa: BLE001 - the last frame of a process: all there is to do is to tell
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # the frames below belong to the supervisor and must not be unwound here

    def _leave_the_supervisor_behind(self, output: int) -> None:
        gc.enable()
        os.setpgid(0, 0)  # Ctrl-C at the terminal reaches the supervisor alone, which ends the programs in order
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        self._selector.close()
        for other in self._places:
            if other.output >= 0:
                os.close(other.output)
        reading, writing = self._lifeline
        os.close(writing)
        threading.Thread(target=end_with, args=(reading,), name="lifeline", daemon=True).start()

    # --- watching ---------------------------------------------------------------------------------------

    def _pass_on_output(self, timeout: float) -> None:
        if not self._selector.get_map():
            time.sleep(timeout)
        for key, _ in self._selector.select(timeout):
            self._read(key.data)

    def _read(self, place: Place) -> bool:
        """Pass on what has come. False when nothing has; an output at its end is closed."""
        try:
            chunk = os.read(place.output, LONGEST_LINE)
        except BlockingIOError:
            return False
        if not chunk:
            self._close_output(place)
            return False
        place.unfinished += chunk
        *lines, rest = place.unfinished.split(b"\n")
        place.unfinished = bytearray() if len(rest) > LONGEST_LINE else bytearray(rest)
        for line in [*lines, rest] if len(rest) > LONGEST_LINE else lines:
            self._write(place.program.name.ljust(self._width), bytes(line))
        return True

    def _close_output(self, place: Place) -> None:
        if place.output < 0:
            return
        if place.unfinished:
            self._write(place.program.name.ljust(self._width), bytes(place.unfinished))
            place.unfinished.clear()
        self._selector.unregister(place.output)
        os.close(place.output)
        place.output = -1

    def _notice_ends(self) -> None:
        for place in self._places:
            if place.pid and (code := ended(place.pid)) is not None:
                self._after_end(place, code)

    def _after_end(self, place: Place, code: int) -> None:
        while place.output >= 0 and self._read(place):
            continue
        self._close_output(place)
        place.pid = 0
        if self._signals:
            return
        if time.monotonic() - place.started_at > STEADY_SECONDS:
            place.failures = 0
        wait = BACKOFF_SECONDS[min(place.failures, len(BACKOFF_SECONDS) - 1)]
        place.failures += 1
        place.due_at = time.monotonic() + wait
        self.say(f"{place.program.name} {how_it_ended(code)}. It starts again in {wait:g} s.")

    def _write(self, name: str, line: bytes) -> None:
        text = name.encode() + b" | " + line + b"\n"
        try:
            while text:
                text = text[os.write(1, text) :]
        except OSError:  # nobody reads any more; the programs run on
            return

    # --- ending -----------------------------------------------------------------------------------------

    def _end_all(self) -> None:
        """Through the ENDINGS by the clock, and faster with every further signal from outside."""
        started = time.monotonic()
        asked = max(self._signals, 1)
        self._signals = asked
        coming = list(ENDINGS)
        while any(place.pid for place in self._places):
            passed = len(ENDINGS) - len(coming)
            if coming and (time.monotonic() - started >= coming[0][0] or self._signals - asked >= passed):
                self._signal_all(coming.pop(0)[1])
            self._pass_on_output(0.05)
            self._notice_ends()

    def _signal_all(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.pid:
                send(place.pid, number)


def send(pid: int, number: signal.Signals) -> None:
    """To kill is to kill the whole group: what a program forked has nobody else to end it."""
    (os.killpg if number == signal.SIGKILL else os.kill)(pid, number)


def ended(pid: int) -> int | None:
    """The exit code of a child of ours that has ended (negative: by that signal); None while it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def how_it_ended(code: int) -> str:
    """`ended with code 1`, `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def end_with(lifeline: int) -> None:
    """Wait until the other end of `lifeline` is closed, then end this process: in order, or else at once."""
    while os.read(lifeline, 1):
        continue
    started = time.monotonic()
    for after, number in ENDINGS:
        time.sleep(max(0.0, started + after - time.monotonic()))
        send(os.getpid(), number)
