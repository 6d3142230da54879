"""The door of execution: what a doorbell starts."""

import os
import socket
import threading
from datetime import UTC, datetime

from django.db import close_old_connections

from scheduler import attempts, dispatch
from scheduler.execution.lease import keeper, seconds
from scheduler.execution.run import run
from scheduler.models import Lane

MOST_SECONDS = 1.0
MOST_ATTEMPTS = 50


def drain(lane: Lane) -> int:
    """Claim and run released attempts of `lane`, one by one. Returns how many.

    After a second or fifty attempts it rings the lane again and stops, so that other lanes have their turn.
    """
    close_old_connections()
    stop_at = seconds() + MOST_SECONDS
    for done in range(MOST_ATTEMPTS):
        if done and seconds() > stop_at:
            break
        if not run_next(lane):
            return done
    else:
        done = MOST_ATTEMPTS
    dispatch.send(lane, 1)
    return done


def run_next(lane: Lane) -> bool:
    """Claim and run the attempt of `lane` that has waited longest. False: none waits."""
    claimed_at = seconds()
    claim = attempts.claim(lanes=[lane], worker=_worker(), now=utc_now())
    if claim is None:
        return False
    with keeper.hold(claim, claimed_at=claimed_at) as lease:
        run(lease, clock=utc_now)
    return True


def utc_now() -> datetime:
    return datetime.now(UTC)


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
