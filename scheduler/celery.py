"""The Celery application: doorbells to workers, the clock's process, and the users' own periodic tasks."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler.settings")

app = Celery("hindcast")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
