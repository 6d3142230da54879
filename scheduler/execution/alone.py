"""The last delivery of an attempt, in a process of its own: whatever ends that, no other attempt is lost with it.

An attempt that lost two workers may have ended them itself, or have run beside one that did. Where slots share a
process a third loss would not tell which; here it does. It takes a second and some memory, and is rare.

The lease is renewed by both processes, as either may hang. The worker kills this one when it loses or gives up the
lease; a cancel and the end of the attempt are this one's to write. It goes with the worker, and its commands with it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import structlog
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.signals import worker_ready

from scheduler import attempts
from scheduler.attempts import MAX_DELIVERIES, Claim
from scheduler.execution.child import ALLOWED
from scheduler.execution.lease import Lease, keeper, seconds
from scheduler.execution.orphans import orphans
from scheduler.execution.run import run
from scheduler.execution.worker import hide_environment

# The keys of the house come through the pipe: /proc/<pid>/environ shows them to nobody, not even for a moment.
PROGRAM = """
import json, os, sys
environment, sys.path[:] = json.loads(sys.stdin.readline())
os.environ.update(environment)
import django
django.setup()
from scheduler.execution import alone
alone.main(*map(int, sys.argv[1:]))
"""

log = structlog.get_logger(__name__)
slots_share_process = threading.Event()


def wanted(claim: Claim) -> bool:
    """Is this the last delivery, in a worker whose slots share its process?"""
    return claim.delivery >= MAX_DELIVERIES and slots_share_process.is_set()


def run_alone(lease: Lease) -> None:
    """As `run`, in a process of its own. When that dies, the lease ends by itself, as that of a lost worker."""
    claim = lease.claim
    with orphans.starting() as ours:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(claim.attempt_id), str(claim.token), str(claim.delivery)],
            env={name: os.environ[name] for name in ALLOWED if name in os.environ},
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        ours.add(process.pid)
    with lease.over(_Alone(process, lease)), process:
        assert process.stdin
        json.dump([dict(os.environ), sys.path], process.stdin)
        process.stdin.write("\n")
        process.stdin.flush()
        status = process.wait()
    ours.discard(process.pid)
    if lease.given_up:
        attempts.give_back(claim, now=_utc_now())
    elif status:
        log.warning("lone_process_died", attempt=claim.attempt_id, status=status)


class _Alone:
    """What the lease may do to the process."""

    def __init__(self, process: subprocess.Popen[str], lease: Lease) -> None:
        self._process = process
        self._lease = lease

    def terminate(self) -> None:
        """It sees by itself that it is to stop."""

    def kill(self) -> None:
        """Its guardian ends its commands. Not for a cancel that takes its time: it ends those by itself."""
        if self._lease.lost:
            self._process.kill()


# --- in the process -----------------------------------------------------------------------------------------


def main(attempt_id: int, token: int, delivery: int) -> None:
    """Run the claim, whose lease was just taken or renewed by the worker that started this process."""
    hide_environment()
    orphans.take_in()
    # A SIGTERM to all of a service's processes is for the worker to answer. Ignored, it would be by commands, too.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_end_with_worker, name="end-with-worker", daemon=True).start()
    with keeper.hold(Claim(attempt_id, token, delivery), claimed_at=seconds()) as lease:
        run(lease, clock=_utc_now)


def _end_with_worker() -> None:
    """At once and without a word, as the worker did: this delivery may be what ended it, and counts."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(os.EX_TEMPFAIL)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def note_pool(sender: Any, **_: object) -> None:
    """`sender` is the consumer."""
    if isinstance(sender.pool, ThreadPool):
        slots_share_process.set()


worker_ready.connect(note_pool, weak=False)
