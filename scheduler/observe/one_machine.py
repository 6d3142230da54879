"""A SQLite file is for one machine: a worker that finds another one at work in it says so, once, as it starts."""

import socket
from datetime import timedelta

import structlog
from celery.signals import worker_ready
from django.db import DatabaseError, connection

from scheduler.clock import database_now
from scheduler.models import Heartbeat

ALIVE = timedelta(minutes=1)

log = structlog.get_logger(__name__)


def warn_of_other_machines(**_: object) -> None:
    """Never keeps the worker from its work."""
    try:
        machines = other_machines() if connection.vendor == "sqlite" else []
    except DatabaseError:
        return
    if machines:
        log.error(
            "sqlite_on_several_machines",
            machines=machines,
            so="rows may be lost: SQLite cannot lock a file for several machines; set DATABASE_URL to PostgreSQL",
        )


def other_machines() -> list[str]:
    """Hosts of beats and workers that were heard of in the last minute, without this one."""
    names = Heartbeat.objects.filter(beat_at__gt=database_now() - ALIVE).values_list("name", flat=True)
    return sorted({name.partition(":")[0] for name in names} - {socket.gethostname()})


worker_ready.connect(warn_of_other_machines, weak=False)
