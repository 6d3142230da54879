"""DOOR: Celery's tasks. A doorbell names a lane; the worker that gets it drains that lane, up to a bound."""

from scheduler.celery import app
from scheduler.dispatch import DRAIN_TASK
from scheduler.execution import log_sweep, sweep, worker  # noqa: F401 - connect signals of the worker
from scheduler.execution.drain import drain as drain_lane
from scheduler.models import Lane
from scheduler.observe import one_machine, worker_presence  # noqa: F401 - connect signals of the worker


@app.task(name=DRAIN_TASK, expires=None, acks_late=False, ignore_result=True)  # type: ignore[untyped-decorator] # Celery has no types
def drain(lane: str) -> None:
    """Claim and run released attempts of `lane`. A malformed lane is refused and logged by Celery; nothing runs."""
    drain_lane(Lane(lane))
