"""The door of execution: what a doorbell starts."""

import os
import socket
import threading
from collections.abc import Collection
from datetime import UTC, datetime

from structlog.contextvars import bound_contextvars

from scheduler import attempts, dispatch
from scheduler.attempts import Claim
from scheduler.execution import alone
from scheduler.execution.lanes import RoundRobin, consumed
from scheduler.execution.lease import keeper, order, seconds
from scheduler.execution.run import run
from scheduler.models import Attempt, Lane

MOST_SECONDS = 1.0
MOST_ATTEMPTS = 50
# How long a lane that was found empty is not asked again by one drain: an attempt that comes meanwhile rings.
EMPTY_SECONDS = 0.05

turn = RoundRobin()


def drain(rung: Lane) -> int:
    """Claim and run released attempts of the lanes of this worker, one by one. Returns how many.

    After a second or fifty attempts it rings again and stops, so that other messages have their turn.
    """
    lanes = consumed() | {rung}
    empty: dict[Lane, float] = {}
    stop_at = seconds() + MOST_SECONDS
    done = 0
    while done < MOST_ATTEMPTS and seconds() < stop_at and not order():
        if not run_next(*lanes, empty=empty):
            return done
        done += 1
    ring_again(rung, lanes)
    return done


def run_next(*lanes: Lane, empty: dict[Lane, float] | None = None) -> bool:
    """Claim and run the attempt that has waited longest in the lane whose turn it is. False: none waits.

    `empty` remembers when lanes were found empty.
    """
    claimed: list[tuple[Claim, float]] = []
    remembered = {} if empty is None else empty

    def take(lane: Lane) -> bool:
        asked_at = seconds()
        claim = attempts.claim(lanes=[lane], worker=_worker(), now=utc_now())
        if claim:
            claimed.append((claim, asked_at))
        else:
            remembered[lane] = asked_at
        return claim is not None

    likely = [lane for lane in lanes if seconds() - remembered.get(lane, 0.0) > EMPTY_SECONDS]
    lane = turn.next(likely, take) or turn.next([lane for lane in lanes if lane not in likely], take)
    if lane is None:
        return False
    claim, claimed_at = claimed[0]
    with (
        bound_contextvars(attempt=claim.attempt_id, lane=lane.value),
        keeper.hold(claim, claimed_at=claimed_at) as lease,
    ):
        if alone.wanted(claim):
            alone.run_alone(lease)
        else:
            run(lease, clock=utc_now)
    return True


def ring_again(rung: Lane, lanes: Collection[Lane]) -> None:
    """One doorbell for one, in a lane where something waits: this one's, if it is not empty."""
    for lane in (rung, *Lane):
        if lane in lanes and Attempt.objects.due().filter(lane=lane).exists():
            dispatch.send(lane, 1)
            return


def utc_now() -> datetime:
    return datetime.now(UTC)


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
