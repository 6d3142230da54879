"""What a Celery worker does for execution, by Celery's signals: how it starts, and how it ends. Import it to connect.

Warm shutdown (the first SIGTERM): attempts that run are finished, and no more are claimed. Cold shutdown (SIGQUIT):
they are killed and given back; a child of the prefork pool has no time for that, so that its lease must expire first.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutting_down

from scheduler.execution.lease import keeper

NOTICE_SECONDS = 1.0


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


def notice_signals(sender: Any, **_: object) -> None:
    """Without a timer of at most a second, a quiet worker looks up from RabbitMQ every ten."""
    if sender.hub:
        sender.hub.call_repeatedly(NOTICE_SECONDS, _nothing)


def end(how: str, **_: object) -> None:
    keeper.ending = True
    if how == "Cold":
        keeper.give_up()


def end_with_the_pool(**_: object) -> None:
    """A child of the prefork pool gets SIGTERM when it is to end at once; what it started must end with it."""
    signal.signal(signal.SIGTERM, _end_process)


def _end_process(number: int, _: FrameType | None) -> None:
    keeper.give_up()
    os._exit(128 + number)


def _nothing() -> None:
    pass


worker_init.connect(hide_environment, weak=False)
worker_ready.connect(notice_signals, weak=False)
worker_shutting_down.connect(end, weak=False)
worker_process_init.connect(end_with_the_pool, weak=False)
