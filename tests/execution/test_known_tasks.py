"""Which Celery tasks are known here."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler import known_tasks
from scheduler.celery import app


def test_nobody_is_told_that_a_task_is_unknown_while_another_thread_looks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def look(**_: object) -> None:
        if not looked:
            looked.append("begun")
            time.sleep(0.2)
            looked.append("ended")

    known_tasks._discovered.cache_clear()
    monkeypatch.setattr(app, "autodiscover_tasks", look)

    def ask(_: int) -> list[str]:
        known_tasks.names()
        return list(looked)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [["begun", "ended"]] * 4
