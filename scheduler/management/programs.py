"""The three processes of one machine: web (gunicorn), worker and beat (Celery)."""

import gc
import logging
import os
import socket
import warnings
from importlib import import_module
from wsgiref.types import WSGIApplication

import structlog
from celery.apps.beat import Beat
from celery.apps.worker import Worker
from celery.platforms import SecurityWarning
from celery.utils.nodenames import default_nodename, host_format
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from scheduler.celery import app
from scheduler.execution.worker import hide_environment
from scheduler.models import Lane
from scheduler.observe.charset import readable_charset
from scheduler.observe.target import host_of_target

log = structlog.get_logger(__name__)

WEB_THREADS = 8
WORKER_SLOTS = 4
QUEUES = [*Lane.values, settings.CELERY_TASK_DEFAULT_QUEUE]


class QuietLogger(Logger):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's words through Django's LOGGING."""

    def setup(self, cfg: object) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)


class Site(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """gunicorn on a socket that is open already: one process, several threads."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "bind": f"fd://{self.listener.detach()}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": WEB_THREADS,
            "preload_app": True,
            "logger_class": QuietLogger,
            "graceful_timeout": 4,
            "timeout": 60,
            "keepalive": 5,
            "control_socket_disable": True,
            "pre_fork": freeze,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        return readable_charset(host_of_target(WSGIHandler()))


def freeze(server: object, worker: object) -> None:
    """gunicorn counts the arguments of its hooks."""
    gc.collect()
    gc.freeze()


def load() -> None:
    """Import what the programs run on, before they are forked: once for all of them."""
    # Celery would check the project here, and in each program again. It is for the caller to have done that.
    os.environ["CELERY_SKIP_CHECKS"] = "1"
    app.loader.import_default_modules()
    app.finalize()
    hide_environment()
    import_module(settings.ROOT_URLCONF)


def web(listener: socket.socket) -> None:
    """Serve the site on `listener`."""
    Site(listener).run()


def worker() -> None:
    """Run attempts of every lane, and the users' own tasks of the default queue."""
    if os.geteuid() == 0:
        warnings.simplefilter("ignore", SecurityWarning)  # eight lines, where one will do
        log.warning("running_as_root", so="the commands of every workflow run as root, too")
    program = Worker(
        app=app,
        hostname=host_format(default_nodename("worker@%h")),
        pool="threads",
        concurrency=WORKER_SLOTS,
        queues=QUEUES,
        loglevel=settings.LOG_LEVEL,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    program.start()
    raise SystemExit(program.exitcode)


def beat() -> None:
    """Start the sessions that are due, every second."""
    Beat(app=app, loglevel=settings.LOG_LEVEL, quiet=True).run()
