"""A document as steps, and what is refused."""

from typing import Any

import pytest

from scheduler.execution.plan import PlanRefused, plan
from scheduler.execution.tree import planned

ECHO = {"echo>": "x"}


def test_tasks_stand_in_the_order_of_the_document_with_their_groups() -> None:
    document = {
        "timezone": "UTC",
        "schedule": {"daily>": "00:00:00"},
        "+z": ECHO,
        "+group": {"_export": {"a": 1}, "+inner": ECHO, "+again": ECHO},
        "+a": ECHO,
    }

    tasks = planned(plan("wf", document))

    assert [(task.full_name, task.parent and task.parent.position, task.spec.is_group) for task in tasks] == [
        ("+wf", None, True),
        ("+wf+z", 0, False),
        ("+wf+group", 0, True),
        ("+wf+group+inner", 2, False),
        ("+wf+group+again", 2, False),
        ("+wf+a", 0, False),
    ]
    assert [[upstream.position for upstream in task.upstreams] for task in tasks] == [[], [], [1], [], [3], [2]]
    assert [task.position for task in tasks] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("document", "task", "message"),
    [
        ({}, "+wf", "no operator"),
        ({"+a": {}}, "+wf+a", "no operator"),
        ({"+a": None}, "+wf+a", "is a mapping"),
        ({"+a": {"echo>": "x", "sh>": "y"}}, "+wf+a", "one operator, not 2: echo>, sh>"),
        ({"+a": {"rm>": "x"}}, "+wf+a", "no operator rm>; there are call>, "),
        ({"+a": {"echo>": "x", "+b": ECHO}}, "+wf+a", "has no tasks inside"),
        ({"+a": {"+b": ECHO, "x": 1}}, "+wf+a", "no x: setting"),
        ({"speed": 9, "+a": ECHO}, "+wf", "no speed: setting"),
        ({"_paralel": True, "+a": ECHO}, "+wf", "_paralel: is not supported"),
        ({"+a": {"echo>": "x", "_do": ECHO}}, "+wf+a", "_do: is not supported by echo>"),
        ({"_parallel": "yes", "+a": ECHO}, "+wf", "_parallel: is true, false or, to limit it, {limit: 2}, not 'yes'"),
        ({"_parallel": {"limit": 0}, "+a": ECHO}, "+wf", "limit: in _parallel: is a whole number from 1 on, not 0"),
        ({"+a": {"echo>": "x", "_retry": -1}}, "+wf+a", "_retry: is a number of retries"),
        ({"+a": {"echo>": "x", "_retry": True}}, "+wf+a", "_retry: is a number of retries"),
        (
            {"+a": {"echo>": "x", "_retry": "3"}},
            "+wf+a",
            "_retry: is a number of retries, such as 3, or {limit: 3, interval: 10}",
        ),
        (
            {"+a": {"echo>": "x", "_retry": {"limit": 1, "interval": -1}}},
            "+wf+a",
            "interval: in _retry: is a whole number from 0 on",
        ),
        ({"+a": {"echo>": "x", "_retry": {"limit": 1, "interval_type": "slow"}}}, "+wf+a", "constant or exponential"),
        ({"+a": {"echo>": "x", "_retry": {"interval": 1}}}, "+wf+a", "_retry: has no limit:"),
        ({"+a": {"echo>": "x", "_retry": {"limit": 1, "max_interval": "x"}}}, "+wf+a", "max_interval: in _retry: is"),
        ({"+a": {"echo>": "x", "_env": {"A": "x"}}}, "+wf+a", "_env: is not supported by echo>"),
        ({"+a": {"sh>": "x", "_env": {"A-B": "x"}}}, "+wf+a", "'A-B' is not a name of the environment"),
        ({"+g": {"_env": {"A": "x"}, "+a": ECHO}}, "+wf+g", "_env: is not supported"),
        ({"+a": {"_background": 1, "echo>": "x"}}, "+wf+a", "_background: is true or false"),
        ({"_error": {"rm>": "x"}, "+a": ECHO}, "+wf^error", "no operator rm>"),
        ({"+a": {"echo>": "x", "_export": "text"}}, "+wf+a", "_export: takes variables with their values"),
        ({f"+{number}": ECHO for number in range(1001)}, "+wf", "1001 tasks; 1000 is the most"),
    ],
)
def test_what_would_not_run_as_written_is_refused(document: dict[str, Any], task: str, message: str) -> None:
    with pytest.raises(PlanRefused, match=message.replace("(", r"\(")) as refused:
        plan("wf", document)

    assert refused.value.task == task


def test_a_thousand_tasks_are_taken_and_the_workflow_is_none_of_them() -> None:
    assert plan("wf", {f"+{number}": ECHO for number in range(1000)}).size == 1001


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        (3, [0, 0]),
        ({"limit": 3, "interval": 10}, [10, 10]),
        ({"limit": 3, "interval": 10, "interval_type": "exponential"}, [10, 20, 40, 80]),
        ({"limit": 3, "interval": 10, "interval_type": "exponential", "max_interval": 25}, [10, 20, 25]),
        ({"limit": 3, "interval": 10, "max_interval": 5}, [5, 5]),
    ],
)
def test_the_waits_between_retries(retry: Any, waits: list[int]) -> None:
    (task,) = plan("wf", {"+a": {"echo>": "x", "_retry": retry}}).children

    assert [task.retry.wait(retries) for retries in range(len(waits))] == waits
    assert task.retry.wait(2**31) < 2**31


def test_tasks_nested_too_deep_are_refused() -> None:
    document: dict[str, Any] = ECHO
    for _ in range(60):
        document = {"+a": document}

    with pytest.raises(PlanRefused, match="50 deep"):
        plan("wf", document)
