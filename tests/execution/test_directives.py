"""Directives that a `${…}` decides, and `!include`, from the file to the end of the attempt."""

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.models import Attempt, TaskRun
from tests.dig.language import document

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]
ECHO = {"echo>": "x"}


def upstreams(attempt: Attempt) -> dict[str, list[int]]:
    rows = TaskRun.objects.filter(attempt=attempt).order_by("position")
    return {row.full_name.removeprefix("+wf"): row.upstreams for row in rows}


@pytest.mark.parametrize(
    ("parallel", "waits"),
    [("true", False), ("false", True), ("${flags.on}", False), ('{"limit": 1}', False), ("${1 > 2}", True)],
)
def test_a_group_is_parallel_when_its_variable_says_so(execute: Execute, parallel: str, waits: bool) -> None:
    group = {"_parallel": "${'' + x}" if "${" not in parallel else parallel, "+a": ECHO, "+b": ECHO}

    attempt = execute({"_export": {"flags": {"on": True}}, "+g": group}, params={"x": parallel})

    assert attempt.reason == {}
    assert bool(upstreams(attempt)["+g^sub+b"]) is waits


def test_such_a_group_stores_exports_retries_and_fails_as_any_group(execute: Execute, log_of: LogOf) -> None:
    group = {
        "_parallel": {"limit": "${1 + 1}"},
        "_export": {"word": "inside"},
        "_retry": 1,
        "_error": {"echo>": "the end: ${error.message}"},
        "+a": {"echo>": "${word}"},
        "+b": {"fail>": "broken"},
    }

    attempt = execute({"+g": group, "+after": ECHO})

    assert (attempt.status, attempt.reason["message"]) == ("error", "broken")
    assert log_of(attempt) == "inside\ninside\nthe end: broken\n"


@pytest.mark.parametrize("where", ["group", "loop", "root"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("maybe", "_parallel: is true, false or, to limit it, {limit: 2}, not 'maybe'."),
        ("0", "limit: in _parallel: is a whole number from 1 on, not 0."),
    ],
)
def test_a_value_that_says_neither_fails_the_task(execute: Execute, where: str, value: str, message: str) -> None:
    parallel = {"limit": "${x}"} if value == "0" else "${x}"
    documents: dict[str, dict[str, Any]] = {
        "group": {"+g": {"_parallel": parallel, "+a": ECHO}},
        "loop": {"+g": {"loop>": 2, "_parallel": parallel, "_do": ECHO}},
        "root": {"_parallel": parallel, "+a": ECHO},
    }

    assert execute(documents[where], params={"x": value}).reason["message"] == message


@pytest.mark.parametrize(
    "loop", [{"loop>": 3}, {"for_each>": {"i": [1, 2, 3]}}, {"for_range>": {"from": 0, "to": 3, "step": 1}}]
)
def test_a_loop_takes_the_limit_of_a_variable(execute: Execute, loop: dict[str, Any]) -> None:
    attempt = execute({"+l": {**loop, "_parallel": {"limit": "${n}"}, "_do": ECHO}}, params={"n": 2})

    assert attempt.status == "success"
    assert TaskRun.objects.get(attempt=attempt, full_name="+wf+l^sub").config["_parallel"] == {"limit": 2}


def test_files_that_include_others_run_as_one(execute: Execute, log_of: LogOf) -> None:
    read = document(
        "!include : 'lib/common.dig'\n+a:\n  !include : 'lib/step.dig'\n+b:\n  echo>: ${greeting}",
        lib__common="_export:\n  greeting: Hello\n",
        lib__step="sh>: echo step $WHO\n_env: {WHO: me}\n_retry: {limit: 1, interval: 0, max_interval: 1}\n",
    )

    assert log_of(execute(read)) == "step me\nHello\n"
