"""A document as steps, and what is refused."""

from typing import Any

import pytest

from scheduler.execution.plan import PlanRefused, plan

ECHO = {"echo>": "x"}


def test_steps_stand_in_the_order_of_the_document_with_their_groups() -> None:
    document = {
        "timezone": "UTC",
        "schedule": {"daily>": "00:00:00"},
        "+z": ECHO,
        "+group": {"_export": {"a": 1}, "+inner": ECHO, "+again": ECHO},
        "+a": ECHO,
    }

    steps = plan("wf", document)

    assert [(step.position, step.full_name, step.parent, step.upstreams, step.is_group) for step in steps] == [
        (0, "+wf", None, (), True),
        (1, "+wf+z", 0, (), False),
        (2, "+wf+group", 0, (1,), True),
        (3, "+wf+group+inner", 2, (), False),
        (4, "+wf+group+again", 2, (3,), False),
        (5, "+wf+a", 0, (2,), False),
    ]
    assert [step.last for step in steps] == [5, 1, 4, 3, 4, 5]


@pytest.mark.parametrize(
    ("document", "task", "message"),
    [
        ({}, "+wf", "no operator"),
        ({"+a": {}}, "+wf+a", "no operator"),
        ({"+a": None}, "+wf+a", "is a mapping"),
        ({"+a": {"echo>": "x", "sh>": "y"}}, "+wf+a", "one operator, not 2: echo>, sh>"),
        ({"+a": {"rm>": "x"}}, "+wf+a", "no operator rm>; there are echo>, "),
        ({"+a": {"echo>": "x", "+b": ECHO}}, "+wf+a", "has no tasks inside"),
        ({"+a": {"+b": ECHO, "x": 1}}, "+wf+a", "no x: setting"),
        ({"speed": 9, "+a": ECHO}, "+wf", "no speed: setting"),
        ({"_parallel": True, "+a": ECHO}, "+wf", "_parallel: is not supported"),
        ({"+a": {"echo>": "x", "_retry": 3}}, "+wf+a", "_retry: is not supported"),
        ({"_error": {"echo>": "x"}, "+a": ECHO}, "+wf", "_error: is not supported"),
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
