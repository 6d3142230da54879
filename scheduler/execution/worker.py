"""What a Celery worker does for execution, by Celery's signals: how it starts, and how it ends. Import it to connect.

Warm shutdown (the first SIGTERM): attempts that run are finished, and no more are claimed. Cold shutdown (SIGQUIT):
they are killed and given back. A child of the prefork pool is told by SystemExit, which billiard raises in it.
"""

import ctypes
import os
import sys
import threading
from pathlib import Path
from typing import Any

from celery.concurrency.thread import TaskPool as ThreadPool
from celery.signals import worker_init, worker_ready, worker_shutting_down

from scheduler.execution.lease import keeper

NOTICE_SECONDS = 1.0
LONGEST_END_SECONDS = 5.0


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


def prepare_to_end(sender: Any, **_: object) -> None:
    """`sender` is the consumer. Mends two things in the way of a quick end."""
    if sender.hub:  # without a timer of at most a second, a quiet worker looks up from RabbitMQ every ten
        sender.hub.call_repeatedly(NOTICE_SECONDS, _nothing)
    if isinstance(sender.pool, ThreadPool):  # cannot end a job, and so fails in the middle of a cold shutdown
        sender.pool.terminate_job = _end_job


def end(how: str, **_: object) -> None:
    keeper.ending = True
    if how == "Cold":
        keeper.give_up()
        # billiard may wait for ever for a lock that one of its children held when it was killed
        last = threading.Timer(LONGEST_END_SECONDS, os._exit, [os.EX_TEMPFAIL])
        last.daemon = True
        last.start()


def _end_job(*_: object) -> None:
    keeper.give_up()


def _nothing() -> None:
    pass


worker_init.connect(hide_environment, weak=False)
worker_ready.connect(prepare_to_end, weak=False)
worker_shutting_down.connect(end, weak=False)
