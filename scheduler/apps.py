from django.apps import AppConfig

from scheduler import checks  # noqa: F401 - registers them
from scheduler.observe import error_tracking


class SchedulerConfig(AppConfig):
    name = "scheduler"
    verbose_name = "Scheduler"

    def ready(self) -> None:
        error_tracking.start()
