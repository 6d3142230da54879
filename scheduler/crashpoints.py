"""Named moments at which the fault tests kill the process, as a power cut would.

`HINDCAST_FAULTS=1 HINDCAST_CRASH_AT=ticker.before_commit:2` ends the process by SIGKILL when it comes to that point for
the second time. Without both variables a call does nothing. They are read once, when this module is imported.
"""

import os
import signal
from collections.abc import Callable
from itertools import count


def nothing(_: str) -> None:
    """What a crash point does in production."""


def armed(crash_at: str) -> Callable[[str], None]:
    """A crash point that kills at `name:n`, the n-th time that `name` is reached (`name` alone: the first)."""
    wanted, _, number = crash_at.partition(":")
    last = int(number or 1)
    reached = count(1)

    def crash(name: str) -> None:
        if name == wanted and next(reached) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return crash


def _resolved() -> Callable[[str], None]:
    crash_at = os.environ.get("HINDCAST_CRASH_AT", "")
    return armed(crash_at) if crash_at and os.environ.get("HINDCAST_FAULTS") == "1" else nothing


crashpoint = _resolved()
