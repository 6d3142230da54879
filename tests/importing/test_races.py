"""Two people import into one project at once: nothing of either is lost, whoever has to look again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import PeriodicTask

from scheduler.importing import periodic
from scheduler.importing.periodic import track
from scheduler.importing.takeover import ProjectMoved, existing
from scheduler.models import Schedule

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Track these tasks, each in a thread of its own, which all have looked before one writes. How each ended."""
    barrier, compare = Barrier(2, timeout=10), periodic.compare

    def compare_together(*args: Any, **options: Any) -> Any:
        compared = compare(*args, **options)
        barrier.wait()
        return compared

    def one(task: PeriodicTask) -> str:
        try:
            track([task], project_name="tracked", switch_off=True, now=NOW)
        except ProjectMoved:
            return "moved"
        finally:
            connection.close()
        return "done"

    def run(*tasks: PeriodicTask) -> list[str]:
        monkeypatch.setattr(periodic, "compare", compare_together)
        with ThreadPoolExecutor(len(tasks)) as pool:
            return sorted(pool.map(one, tasks))

    return run


@pytest.mark.parametrize("is_there", [False, True], ids=["a new project", "a project that is there"])
def test_of_two_at_once_one_is_told_to_look_again(
    at_once: Callable[..., list[str]], make_periodic: Callable[..., PeriodicTask], is_there: bool
) -> None:
    first, second = make_periodic(name="first"), make_periodic(name="second")
    if is_there:
        track([make_periodic(name="before")], project_name="tracked", now=NOW)

    ended = at_once(first, second)

    assert ended == ["done", "moved"]
    on = PeriodicTask.objects.filter(name__in=["first", "second"], enabled=True).get()
    off = "second" if on.name == "first" else "first"
    expected = {"before.dig", f"{off}.dig"} if is_there else {f"{off}.dig"}
    assert set(existing("tracked").files) == expected
    assert set(Schedule.objects.values_list("workflow__name", flat=True)) == {
        path.removesuffix(".dig") for path in expected
    }


def test_the_same_task_twice_at_once_is_tracked_once(
    at_once: Callable[..., list[str]], make_periodic: Callable[..., PeriodicTask]
) -> None:
    task = make_periodic()

    assert at_once(task, PeriodicTask.objects.get(pk=task.pk)) == ["done", "moved"]

    assert Schedule.objects.get().disabled_at is None
