"""DOOR: the admin of schedules and of what became of them. It shows and asks; state is moved by the verbs."""

from scheduler.admin.periodic_task import TrackablePeriodicTaskAdmin
from scheduler.admin.plans import BackfillAdmin, PoolAdmin, SkipAdmin
from scheduler.admin.project_deletion import DeletableProjectAdmin
from scheduler.admin.runs import AttemptAdmin, LogChunkAdmin, LogFileAdmin, SessionAdmin, TaskRunAdmin
from scheduler.admin.schedule import ScheduleAdmin

__all__ = [
    "AttemptAdmin",
    "BackfillAdmin",
    "DeletableProjectAdmin",
    "LogChunkAdmin",
    "LogFileAdmin",
    "PoolAdmin",
    "ScheduleAdmin",
    "SessionAdmin",
    "SkipAdmin",
    "TaskRunAdmin",
    "TrackablePeriodicTaskAdmin",
]
