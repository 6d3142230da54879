"""From which lane a slot claims next: smooth weighted round robin, so that no lane starves another.

Of twelve claims eight are scheduled, three manual and one is a backfill's, spread out evenly; an empty lane's share
goes to the others. The credits outlive a doorbell, as one doorbell may be one attempt.
"""

import threading
from collections.abc import Callable, Collection

from scheduler.celery import app
from scheduler.models import Lane

WEIGHTS = {Lane.SCHEDULED: 8, Lane.MANUAL: 3, Lane.BACKFILL: 1}


class RoundRobin:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._credits = dict.fromkeys(Lane, 0)
        self._lock = threading.Lock()

    def next(self, lanes: Collection[Lane], take: Callable[[Lane], bool]) -> Lane | None:
        """The lane whose turn it is and from which `take` took something; None when `take` found all empty."""
        filled = list(lanes)
        while filled:
            with self._lock:
                lane = max(filled, key=lambda lane: self._credits[lane] + WEIGHTS[lane])
            if take(lane):
                self._charge(lane, filled)
                return lane
            filled.remove(lane)
            self._credits[lane] = 0  # saving up while empty would starve the others later
        return None

    def _charge(self, taken: Lane, filled: Collection[Lane]) -> None:
        with self._lock:
            for lane in filled:
                self._credits[lane] += WEIGHTS[lane]
            self._credits[taken] -= sum(WEIGHTS[lane] for lane in filled)


def consumed() -> set[Lane]:
    """The lanes whose queues this worker was started for. A queue may have another name, with the lane as its alias."""
    queues = app.amqp.queues
    names = set(queues.consume_from)
    return {lane for lane in Lane if (lane in queues or lane in queues.aliases) and queues[lane.value].name in names}
