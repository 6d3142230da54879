"""The product's settings for a worker or beat that a test starts: queues of its own, and a sign when it is ready."""

import os
from pathlib import Path

from celery.signals import beat_init, worker_ready

from scheduler.settings import *  # noqa: F403
from tests.own_queues import own_queues

CELERY_TASK_QUEUES = own_queues(os.environ)


@beat_init.connect(weak=False)
@worker_ready.connect(weak=False)
def _tell(**_: object) -> None:
    Path(os.environ["HINDCAST_TEST_READY"]).touch()
