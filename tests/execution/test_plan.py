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
        ({"_parallel": "yes", "+a": ECHO}, "+wf", "_parallel: is true, false, or a mapping with a limit"),
        ({"_parallel": {"limit": 0}, "+a": ECHO}, "+wf", "a limit: of at least 1"),
        ({"+a": {"echo>": "x", "_retry": -1}}, "+wf+a", "_retry: is a whole number of times"),
        ({"+a": {"echo>": "x", "_retry": True}}, "+wf+a", "_retry: is a whole number of times"),
        ({"+a": {"echo>": "x", "_retry": "3"}}, "+wf+a", "_retry: is a number of times, or a mapping"),
        ({"+a": {"echo>": "x", "_retry": {"limit": 1, "interval": -1}}}, "+wf+a", "The interval: of _retry:"),
        ({"+a": {"echo>": "x", "_retry": {"interval_type": "slow"}}}, "+wf+a", "constant or exponential"),
        ({"+a": {"echo>": "x", "_background": 1}}, "+wf+a", "_background: is true or false"),
        ({"_error": {"rm>": "x"}, "+a": ECHO}, "+wf^error", "no operator rm>"),
        ({"+a": {"echo>": "x", "_export": "text"}}, "+wf+a", "_export: takes a mapping"),
        ({f"+{number}": ECHO for number in range(1000)}, "+wf", "1001 tasks; 1000 is the most"),
    ],
)
def test_what_would_not_run_as_written_is_refused(document: dict[str, Any], task: str, message: str) -> None:
    with pytest.raises(PlanRefused, match=message.replace("(", r"\(")) as refused:
        plan("wf", document)

    assert refused.value.task == task


def test_tasks_nested_too_deep_are_refused() -> None:
    document: dict[str, Any] = ECHO
    for _ in range(60):
        document = {"+a": document}

    with pytest.raises(PlanRefused, match="50 deep"):
        plan("wf", document)
