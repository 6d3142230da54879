"""The door of execution: what a doorbell starts."""

import os
import socket
import threading
from datetime import UTC, datetime

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
    stop_at = seconds() + MOST_SECONDS
    done = 0
    while done < MOST_ATTEMPTS and seconds() < stop_at and not keeper.ending:
        if not run_next(lane):
            return done
        done += 1
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
