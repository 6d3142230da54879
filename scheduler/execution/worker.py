"""What a Celery worker does for execution, by Celery's signals: how it starts, and how it ends. Import it to connect.

Warm shutdown (the first SIGTERM): no more attempts are claimed; those that run may finish within a moment, then they
are killed and given back. Cold shutdown (SIGQUIT): at once. The pool's processes learn of it through shared memory; in
a cold one billiard ends them by SIGTERM, too, which raises SystemExit there.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from billiard import pool  # type: ignore[import-untyped]
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.signals import (
    worker_before_create_process,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)

from scheduler.execution.lease import Ending, keeper, order, seconds
from scheduler.execution.orphans import orphans

NOTICE_SECONDS = 1.0
FINISH_SECONDS = 1.4  # of the two that an end may take
LONGEST_END_SECONDS = 5.0
SAME_SIGNAL_SECONDS = 0.5


def hide_environment(**_: object) -> None:
    """Wipe the block that /proc/<pid>/environ shows: code of a workflow could read the keys of the house there.

    Every variable is set anew first, which moves it to memory of its own. The same user may still read that memory
    with a debugger's rights: give workers a user of their own, without those.
    """
    if not sys.platform.startswith("linux"):
        return
    for name, value in os.environ.items():
        os.putenv(name, value)
    third_and_on = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = (int(third_and_on[field - 3]) for field in (50, 51))  # env_start, env_end in proc(5)
    ctypes.memset(start, 0, end - start)


def freeze(**_: object) -> None:
    """What the process has in memory is left where it is: looked through by the child, all of it would be copied."""
    gc.collect()
    gc.freeze()


def take_in_orphans(sender: Any = None, **_: object) -> None:
    """In the process that runs commands: one of the pool, or, where that has none, the worker itself."""
    if not isinstance(getattr(sender, "pool", None), PreforkPool):
        orphans.take_in()


def prepare_to_end(sender: Any, **_: object) -> None:
    """`sender` is the consumer. Mends two things in the way of a quick end."""
    if sender.hub:  # without a timer of at most a second, a quiet worker looks up from RabbitMQ every ten
        sender.hub.call_repeatedly(NOTICE_SECONDS, _nothing)
    if isinstance(sender.pool, ThreadPool):  # cannot end a job, and so fails in the middle of a cold shutdown
        sender.pool.terminate_job = _end_job


def end(how: str, **_: object) -> None:
    if how == "Cold":
        order.give(Ending.COLD)
        keeper.give_up()
        # billiard may wait for ever for a lock that one of its children held when it was killed
        _later(LONGEST_END_SECONDS, os._exit, os.EX_TEMPFAIL)
    else:
        order.give(Ending.WARM)
        _later(FINISH_SECONDS, order.give, Ending.GIVE_BACK)


def ignore_stray_signals(**_: object) -> None:
    """In a process of the pool: a SIGTERM to the whole group (as systemd sends it) is for the worker to answer.

    It would end this process in the middle of anything, and the worker would wait for its answers for ever. billiard
    sets its handlers after Celery's signal for a new process, so this is done when it does.
    """
    billiard_sets = pool.reset_signals

    def set_handlers(full: bool = False) -> None:
        billiard_sets(full=full)
        before = signal.getsignal(signal.SIGTERM)

        def answer(number: int, frame: FrameType | None) -> None:
            if not _ends_warmly() and callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, answer)

    pool.reset_signals = set_handlers


def _ends_warmly() -> bool:
    """The worker was sent the same signal. In a cold shutdown its order comes after the signal, too late to see."""
    until = seconds() + SAME_SIGNAL_SECONDS
    while order() == Ending.NOT and seconds() < until:
        time.sleep(0.01)
    return order() in (Ending.WARM, Ending.GIVE_BACK)


def _later(delay: float, action: Callable[..., object], *arguments: object) -> None:
    timer = threading.Timer(delay, action, arguments)
    timer.daemon = True
    timer.start()


def _end_job(*_: object) -> None:
    keeper.give_up()


def _nothing() -> None:
    pass


worker_init.connect(hide_environment, weak=False)
worker_before_create_process.connect(freeze, weak=False)
worker_process_init.connect(take_in_orphans, weak=False)
worker_ready.connect(prepare_to_end, weak=False)
worker_ready.connect(take_in_orphans, weak=False)
worker_process_init.connect(ignore_stray_signals, weak=False)
worker_shutting_down.connect(end, weak=False)
