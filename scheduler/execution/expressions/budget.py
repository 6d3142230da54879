"""The time that one text of a workflow may take to render: processor seconds, of this thread and of the engine.

Variables may be made of others, each named many times over; a bound for every single expression would not end that.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scheduler.execution.expressions.errors import ExpressionFailed

SECONDS = 1.0


class _Account(threading.local):
    is_open = False
    until = 0.0


_account = _Account()


@contextmanager
def one_budget() -> Iterator[None]:
    """What is computed inside, by this thread, shares one budget; the outermost decides."""
    if _account.is_open:
        yield
        return
    _account.is_open = True
    _account.until = time.thread_time() + SECONDS
    try:
        yield
    finally:
        _account.is_open = False


def spend(seconds: float) -> None:
    """Somebody else computed for that long."""
    _account.until -= seconds


def spendable() -> float:
    """Seconds that are left. Raises ExpressionFailed when there are none."""
    if not _account.is_open:
        return SECONDS
    left = _account.until - time.thread_time()
    if left <= 0:
        raise ExpressionFailed(f"It took more than {SECONDS:g} s of computing.")
    return left
