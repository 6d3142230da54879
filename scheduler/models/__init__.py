"""When it runs, and what became of it. Fields, constraints, querysets; state is moved by the verb modules alone."""

from scheduler.models.attempt import Attempt, AttemptStatus, Lane, Pool
from scheduler.models.backfill import Backfill
from scheduler.models.heartbeat import Heartbeat, Leadership
from scheduler.models.log import LogChunk, LogFile
from scheduler.models.schedule import CatchUp, Overlap, Schedule, Skip, SkipReason
from scheduler.models.session import Session
from scheduler.models.task import TaskRun, TaskState

__all__ = [
    "Attempt",
    "AttemptStatus",
    "Backfill",
    "CatchUp",
    "Heartbeat",
    "Lane",
    "Leadership",
    "LogChunk",
    "LogFile",
    "Overlap",
    "Pool",
    "Schedule",
    "Session",
    "Skip",
    "SkipReason",
    "TaskRun",
    "TaskState",
]
