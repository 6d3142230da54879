"""Tasks of one attempt that run at the same time: each in a thread of its own, heard of in the attempt's thread."""

import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import connection

from scheduler.errors import HindcastError
from scheduler.execution.lease import seconds
from scheduler.execution.operators.base import Outcome
from scheduler.execution.task import Task

Answer = Outcome | HindcastError


class Beside:
    """At most `HINDCAST_PARALLEL_TASKS` of them."""

    def __init__(self) -> None:
        self._running: set[Task] = set()
        self._answers: SimpleQueue[tuple[Task, Answer | BaseException]] = SimpleQueue()

    def __bool__(self) -> bool:
        return bool(self._running)

    @property
    def has_room(self) -> bool:
        return len(self._running) < settings.HINDCAST_PARALLEL_TASKS

    def start(self, task: Task, run: Callable[[], Answer]) -> None:
        self._running.add(task)
        context = copy_context()  # the lines of the log say whose they are
        body = threading.Thread(target=context.run, args=(self._answer, task, run), name=task.full_name, daemon=True)
        body.start()

    def ended(self, timeout: float, *, everything: bool = False) -> Iterator[tuple[Task, Answer]]:
        """The next that ended within `timeout` seconds, and those that did meanwhile; or all that will.

        What a thread raised is raised here.
        """
        until = seconds() + timeout
        while self._running:
            try:
                task, answer = self._answers.get(timeout=max(until - seconds(), 0))
            except Empty:
                return
            self._running.discard(task)
            if isinstance(answer, BaseException) and not isinstance(answer, HindcastError):
                raise answer
            yield task, answer
            if not everything:
                until = seconds()

    def _answer(self, task: Task, run: Callable[[], Answer]) -> None:
        try:
            answer: Answer | BaseException = run()
        except BaseException as error:  # noqa: BLE001 - the attempt's thread decides
            answer = error
        finally:
            connection.close()
        self._answers.put((task, answer))
