"""The Celery application: doorbells to workers, the clock's process, and the users' own periodic tasks."""

import os

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler.settings")

app = Celery("hindcast")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect  # type: ignore[untyped-decorator] # Celery has no types
def keep_logging(**_: object) -> None:
    """Django's LOGGING holds in workers and in the beat, too: a receiver, whatever it does, keeps Celery's own away."""
