from django.apps import AppConfig

from scheduler import checks  # noqa: F401 - registers them


class SchedulerConfig(AppConfig):
    name = "scheduler"
    verbose_name = "Scheduler"
