"""The tree of tasks on the page of an attempt."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule, TaskRun, TaskState
from scheduler.web.task_rows import SHOWN, Gap, TaskTree, task_tree

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Make = Callable[..., None]


@pytest.fixture
def attempt(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> Attempt:
    return make_attempt(schedule, NOW, status=AttemptStatus.ERROR, reason={"message": "no", "task": "+w+a"})


@pytest.fixture
def make_tasks(attempt: Attempt) -> Make:
    """make_tasks(("+w", None), ("+w+a", 0, {"state": "error"})): tasks by name, place of the group, and the rest."""

    def make(*tasks: Sequence[Any]) -> None:
        TaskRun.objects.bulk_create(
            TaskRun(
                attempt=attempt,
                position=position,
                full_name=name,
                parent=parent,
                **{"state": TaskState.SUCCESS, "started_at": NOW, "updated_at": NOW, **(rest[0] if rest else {})},
            )
            for position, (name, parent, *rest) in enumerate(tasks)
        )

    return make


def tree_of(attempt: Attempt) -> TaskTree:
    return task_tree(attempt.tasks.all(), UTC, NOW)


def names(tree: TaskTree) -> list[str]:
    return [row.text if isinstance(row, Gap) else row.full_name for row in tree.rows]


def test_tasks_that_came_up_later_stand_with_their_group(attempt: Attempt, make_tasks: Make) -> None:
    make_tasks(("+w", None), ("+w+a", 0), ("+w+b", 0), ("+w+a^sub", 1), ("+w+a^sub+loop-0", 3))

    assert names(tree_of(attempt)) == ["+w+a", "+w+a^sub", "+w+a^sub+loop-0", "+w+b"]


def test_a_long_tree_shows_what_failed_and_what_runs_and_counts_the_rest(attempt: Attempt, make_tasks: Make) -> None:
    failed = {"state": TaskState.ERROR, "error": {"message": "disk full"}}
    group = ("+w+g", 0, {"is_group": True, "config": {"_parallel": True}, "state": TaskState.GROUP_ERROR})
    inside = [(f"+w+g+t{number:04}", 1, failed if number == 700 else {}) for number in range(1000)]
    make_tasks(("+w", None), group, *inside)

    tree = tree_of(attempt)

    assert len(tree.rows) <= SHOWN + 3
    assert names(tree)[0] == "+w+g"
    assert "+w+g+t0700" in names(tree)
    assert names(tree)[-3:] == ["680 more: 680 success", "+w+g+t0700", "299 more: 299 success"]
    assert [task.full_name for task in tree.failures] == ["+w+g+t0700"]
    assert [state.word for state in tree.tallies] == ["1 error", "999 success"]
    assert tree.has_gaps


def test_what_failed_is_shown_with_the_groups_around_it(attempt: Attempt, make_tasks: Make) -> None:
    quiet = [(f"+w+t{number:04}", 0) for number in range(400)]
    deep = [("+w+z", 0, {"is_group": True}), ("+w+z+y", 401, {"is_group": True}), ("+w+z+y+x", 402, {"state": "error"})]
    make_tasks(("+w", None), *quiet, *deep)

    assert names(tree_of(attempt))[-3:] == ["+w+z", "+w+z+y", "+w+z+y+x"]


def test_a_row_says_how_it_is_run_and_how_often_it_was_tried(attempt: Attempt, make_tasks: Make) -> None:
    again = NOW + timedelta(minutes=5)
    make_tasks(
        ("+w", None),
        ("+w+g", 0, {"is_group": True, "config": {"_parallel": {"limit": 2}}, "state": TaskState.PLANNED}),
        ("+w+g+a", 1, {"config": {"_retry": 3, "sh>": "x"}, "state_params": {"retries": 2}, "retry_at": again,
                       "state": TaskState.RETRY_WAITING}),
    )  # fmt: skip

    group, task = tree_of(attempt).rows

    assert not isinstance(group, Gap)
    assert not isinstance(task, Gap)
    assert (group.kind, task.kind, task.retries) == ("parallel", "sh>", 2)
    assert task.again
    assert task.again.local == "2026-03-02 12:05 +00:00"


@pytest.mark.parametrize("odd", [[], "x", 7, {"retries": "many"}, {"_parallel": []}])
def test_odd_rows_are_shown_all_the_same(page: Client, attempt: Attempt, make_tasks: Make, odd: Any) -> None:
    make_tasks(("+w", None), ("no name", 99, {"config": odd, "state_params": odd, "is_group": True, "error": odd}))

    assert page.get(f"/attempts/{attempt.pk}").status_code == 200
    assert page.get(f"/attempts/{attempt.pk}/tasks").status_code == 200


def test_the_page_of_a_thousand_tasks_is_small_and_leads_to_all_of_them(
    page: Client, attempt: Attempt, make_tasks: Make
) -> None:
    make_tasks(("+w", None), *[(f"+w+task_number_{number:04}", 0) for number in range(1000)])

    answer = page.get(f"/attempts/{attempt.pk}")
    shown, address = [], f"/attempts/{attempt.pk}/tasks"
    while address:
        part = page.get(address).context["list"]
        shown += [row.number for row in part.rows]
        address = part.next_href and f"/attempts/{attempt.pk}/tasks{part.next_href}"

    assert len(answer.content) < 100_000
    assert f'href="/attempts/{attempt.pk}/tasks"' in answer.content.decode()
    assert shown == list(range(1, 1001))


def test_each_failed_task_is_named_above_with_a_way_to_its_log(
    page: Client, attempt: Attempt, make_tasks: Make
) -> None:
    failed = {"state": TaskState.ERROR, "error": {"message": "disk full"}}
    make_tasks(("+w", None), ("+w+a", 0, failed), ("+w+b", 0), ("+w+c", 0, failed))
    LogChunk.objects.create(attempt=attempt, position=1, text="a says\n", written_at=NOW)
    LogChunk.objects.create(attempt=attempt, position=2, text="b says\n", written_at=NOW)

    html = page.get(f"/attempts/{attempt.pk}").content.decode()
    log = page.get(f"/attempts/{attempt.pk}/log.txt?task=1")

    top = html[: html.index('id="tasks"')]
    assert [f'href="#task-{number}"' in top for number in (1, 2, 3)] == [True, False, True]
    assert f'href="/attempts/{attempt.pk}/log.txt?task=1"' in top
    assert "log.txt?task=3" not in html
    assert log.getvalue().decode() == "a says\n"
