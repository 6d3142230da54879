"""Named moments at which the fault tests kill the process, as a power cut would.

`HINDCAST_FAULTS=1 HINDCAST_CRASH_AT=ticker.before_commit:2` ends the process by SIGKILL when it comes to that point for
the second time; with `HINDCAST_CRASH_BY=SIGSTOP` it sleeps there until SIGCONT, as a machine that was suspended would.
Without the first two variables a call does nothing. They are read once, when this module is imported.
"""

import os
import signal
from collections.abc import Callable
from itertools import count


def nothing(_: str) -> None:
    """What a crash point does in production."""


def armed(crash_at: str, crash_by: signal.Signals) -> Callable[[str], None]:
    """A crash point that fires at `name:n`, the n-th time that `name` is reached (`name` alone: the first)."""
    wanted, _, number = crash_at.partition(":")
    last = int(number or 1)
    reached = count(1)

    def crash(name: str) -> None:
        if name == wanted and next(reached) == last:
            os.kill(os.getpid(), crash_by)

    return crash


def _resolved() -> Callable[[str], None]:
    crash_at = os.environ.get("HINDCAST_CRASH_AT", "")
    if not crash_at or os.environ.get("HINDCAST_FAULTS") != "1":
        return nothing
    return armed(crash_at, signal.Signals[os.environ.get("HINDCAST_CRASH_BY", "SIGKILL")])


crashpoint = _resolved()
