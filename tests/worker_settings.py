"""The product's settings for a worker or beat that a test starts: queues of its own, and a sign when it is ready."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine
from celery.signals import beat_init, worker_ready

from scheduler.settings import *  # noqa: F403
from scheduler.settings import BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS, STORAGES
from tests.own_queues import own_queues

CELERY_TASK_QUEUES = own_queues(os.environ)
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # none are collected


@beat_init.connect(weak=False)
@worker_ready.connect(weak=False)
def _tell(**_: object) -> None:
    Path(os.environ["HINDCAST_TEST_READY"]).touch()


if "HINDCAST_TEST_VISIBILITY_SECONDS" in os.environ and BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] = int(os.environ["HINDCAST_TEST_VISIBILITY_SECONDS"])

if "HINDCAST_TEST_CLOCK_AHEAD" in os.environ:  # the clock of this process alone, by so many seconds
    ahead = timedelta(seconds=float(os.environ["HINDCAST_TEST_CLOCK_AHEAD"]))
    time_machine.travel(datetime.now(UTC) + ahead, tick=True).start()
