"""The log of an attempt for a terminal, wherever it is: what was not read before, as it was written."""

from collections import Counter
from collections.abc import Iterator

from django.db.models import Q

from scheduler import logs
from scheduler.models import Attempt, LogChunk

BATCH = 50


class Reading:
    """One reader of one attempt's log. `task` is the full name of a task; what is inside it belongs to it."""

    def __init__(self, attempt: Attempt, task: str | None = None) -> None:
        self._attempt = attempt
        self._task = task
        self._last = 0
        self._read: Counter[int] = Counter()  # letters, by position

    def new(self) -> Iterator[str]:
        """Text that came since the last call, piece by piece. Raises LogUnavailable."""
        wanted = None if self._task is None else positions_inside(self._attempt, self._task)
        rows = LogChunk.objects.filter(attempt=self._attempt).order_by("pk").values_list("pk", "position", "text")
        if wanted is not None:
            rows = rows.filter(position__in=wanted)
        while batch := list(rows.filter(pk__gt=self._last)[:BATCH]):
            for self._last, position, text in batch:
                self._read[position] += len(text)
                yield text
        yield from self._moved(wanted)

    def _moved(self, wanted: set[int] | None) -> Iterator[str]:
        """The rest of a log that was moved into files, perhaps in the middle of the reading."""
        for file in logs.kept_files(self._attempt.pk):
            if wanted is None or file.position in wanted:
                text = logs.kept_text(file)[self._read[file.position] :]
                self._read[file.position] += len(text)
                yield text


def positions_inside(attempt: Attempt, full_name: str) -> set[int]:
    """Of the task of that name, and of all inside it; none while the attempt has not come to it."""
    inside = Q(full_name__startswith=f"{full_name}+") | Q(full_name__startswith=f"{full_name}^")
    return set(attempt.tasks.filter(Q(full_name=full_name) | inside).values_list("position", flat=True))
