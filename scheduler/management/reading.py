"""The log of an attempt as it grows, for a terminal: what was not read before, in the order in which it was written."""

from collections.abc import Iterator

from django.db.models import Q

from scheduler.models import Attempt, LogChunk, TaskRun

BATCH = 50


class Reading:
    """One reader of one attempt's log. `task` is the full name of a task; what is inside it belongs to it."""

    def __init__(self, attempt: Attempt, task: str | None = None) -> None:
        self._attempt = attempt
        self._task = task
        self._last = 0

    def new(self) -> Iterator[str]:
        """Text that came since the last call, piece by piece."""
        rows = LogChunk.objects.filter(attempt=self._attempt)
        if self._task is not None:
            rows = rows.filter(position__in=[task.position for task in tasks_inside(self._attempt, self._task)])
        while batch := list(rows.filter(pk__gt=self._last).order_by("pk").values_list("pk", "text")[:BATCH]):
            for self._last, text in batch:
                yield text


def tasks_inside(attempt: Attempt, full_name: str) -> list[TaskRun]:
    """The task of that name, and all inside it; none while the attempt has not come to it."""
    inside = Q(full_name__startswith=f"{full_name}+") | Q(full_name__startswith=f"{full_name}^")
    return list(attempt.tasks.filter(Q(full_name=full_name) | inside).only("position"))
