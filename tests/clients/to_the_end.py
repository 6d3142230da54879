"""Attempts run in this process to their ends, as workers would, with the clock put forward where all of them wait."""

from datetime import UTC, datetime

import time_machine
from django.db.models.functions import Now

from scheduler.execution.drain import drain
from scheduler.models import Attempt, AttemptStatus, Lane, TaskState

MOST_WAITS = 100
WAITING = (TaskState.RETRY_WAITING, TaskState.GROUP_RETRY_WAITING)


def run_to_the_end(attempt: Attempt) -> list[float]:
    """Run it and all that it starts. Returns for how many seconds it waited each time it went back into the queue.

    Commands and expressions run in processes of their own, whose clock is the real one.
    """
    now, waits = datetime.now(UTC), []
    for _ in range(MOST_WAITS):
        with time_machine.travel(now, tick=True):
            while drain(Lane.MANUAL):
                pass
        attempt.refresh_from_db()
        if attempt.done:
            return waits
        now, waited = _next_moment(attempt)
        waits += waited
    raise AssertionError(f"{attempt} is {attempt.status}, and has waited {MOST_WAITS} times.")


def _next_moment(attempt: Attempt) -> tuple[datetime, list[float]]:
    """When the first of those that wait goes on, by its tasks; and how long that is for `attempt`, if it is the one."""
    waiting = Attempt.objects.filter(status=AttemptStatus.QUEUED, released_at__isnull=False)
    moments = {one.pk: one.tasks.filter(state__in=WAITING).order_by("retry_at")[0] for one in waiting}
    first = min(moments, key=lambda pk: moments[pk].retry_at)
    Attempt.objects.filter(pk=first).update(released_at=Now())
    retry_at, since = moments[first].retry_at, moments[first].updated_at
    return retry_at, [(retry_at - since).total_seconds()] if first == attempt.pk else []
