"""`py>`: what code that was written for Digdag finds there, and what a name may not reach."""

import __future__

import ast
from collections.abc import Callable
from typing import Any

import pytest

from projects import secrets
from scheduler.execution.drain import drain
from scheduler.execution.operators.py import CHILD
from scheduler.models import Attempt, Lane, TaskRun

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]

FILES = {
    "tasks/__init__.py": """
import os
import sys

import digdag

class MyWorkflow(object):
    def step1(self, session_date):
        digdag.env.store({'my_value': 1}, day=session_date)

    def step2(self, my_value="default"):
        print("step2: %s %s" % (my_value, digdag.env.params["my_value"]))

    def grow(self):
        digdag.env.store(grown=True)
        digdag.env.export({'shared': 'by all'})
        digdag.env.add_subtask(MyWorkflow.step3, arg1=1, text="${nope}")
        digdag.env.add_subtask({'_type': 'echo', '_command': 'echoed ${shared}'})
        digdag.env.add_subtask({'echo>': 'and ${more}'}, more='that')

    def step3(self, arg1, text, shared):
        print("step3: %r %s %s" % (arg1, text, shared))
        digdag.env.store({'from_inside': arg1 + 1})

class Whole:
    def __init__(self, day="?"):
        self.day = day

    def run(self, my_value=None):
        print("ran", self.day, my_value)
        return {"returned": 2}

def environment():
    print(sorted(name for name in os.environ if name in ("A", "TOKEN", "region")), os.environ["A"])
    return {"token": os.environ["TOKEN"]}

def unserializable():
    digdag.env.add_subtask(environment, arg=object())

def stores_what_is_no_json():
    digdag.env.store(x={1})

def too_many():
    for _ in range(1001):
        digdag.env.add_subtask({'echo>': 'x'})

def nameless():
    digdag.env.add_subtask(lambda: None)
""",
    "json/__init__.py": "def dumps():\n    pass\n",
}


@pytest.fixture
def call(execute: Execute) -> Execute:
    def run(*functions: str, then: str = "done", **params: Any) -> Attempt:
        tasks: dict[str, Any] = {f"+t{number}": {"py>": name} for number, name in enumerate(functions)}
        return execute({**tasks, "+then": {"echo>": then}}, files=FILES, params=params)

    return run


def test_the_documented_example_stores_a_value_and_reads_it(call: Execute, log_of: LogOf) -> None:
    attempt = call("tasks.MyWorkflow.step1", "tasks.MyWorkflow.step2", then="${day}")

    assert log_of(attempt) == "step2: 1 1\n2026-03-01\n"


def test_added_tasks_run_before_the_next_one_with_what_was_exported(call: Execute, log_of: LogOf) -> None:
    attempt = call("tasks.MyWorkflow.grow", then="${grown} ${from_inside}")

    assert attempt.reason == {}
    assert log_of(attempt) == "step3: 1 ${nope} by all\nechoed by all\nand that\ntrue 2\n"
    names = [name for name in TaskRun.objects.order_by("pk").values_list("full_name", flat=True) if "subtask" in name]
    assert names == [f"+wf+t0^sub+subtask{number}" for number in range(3)]


def test_what_was_exported_is_seen_inside_alone(call: Execute) -> None:
    assert "shared" in call("tasks.MyWorkflow.grow", then="${shared}").reason["message"]


def test_a_class_stands_for_its_run(call: Execute, log_of: LogOf) -> None:
    attempt = call("tasks.Whole", then="${returned}", day="Monday", my_value=7)

    assert log_of(attempt) == "ran Monday 7\n2\n"


def test_env_gives_variables_and_secrets_that_no_log_and_no_result_shows(
    execute: Execute, log_of: LogOf, queue: Any
) -> None:
    task = {"py>": "tasks.environment", "_env": {"A": "a ${session_date}", "TOKEN": "${secret:shop.token}"}}
    document = {"_export": {"region": "eu"}, "+a": task, "+b": {"echo>": "${token}"}}
    missing = execute(document, files=FILES)
    assert "shop.token" in missing.reason["message"]

    attempt = queue(document, files=FILES)
    secrets.put(
        project_id=attempt.workflow.project_id, key="shop.token", value="a-very-secret-token", now=attempt.created_at
    )
    drain(Lane.MANUAL)

    log = log_of(attempt)
    assert log.startswith("['A', 'TOKEN', 'region'] a 2026-03-01\n")
    assert log.endswith("***\n")
    assert "very-secret" not in log


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("tasks.unserializable", "TypeError: The parameters of a subtask are JSON: "),
        ("tasks.stores_what_is_no_json", "stored or exported a mapping that is not JSON"),
        ("tasks.too_many", "more than 1000 tasks"),
        ("tasks.nameless", "TypeError: A subtask is a function that has a name in a module"),
        ("tasks.MyWorkflow", "tasks.MyWorkflow is not a function."),
    ],
)
def test_what_cannot_be_kept_fails_the_task(call: Execute, function: str, message: str) -> None:
    assert message in call(function).reason["message"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os.system", "There is no module 'os' in the project's files; only a module of theirs can be called."),
        ("subprocess.run", "There is no module 'subprocess'"),
        ("scheduler.attempts.kill", "There is no module 'scheduler'"),
        ("tasks.os.system", "tasks.os.system: os is an installed module; call a function of the project's files."),
        ("tasks.sys.exit", "tasks.sys.exit: sys is an installed module"),
        ("json.dumps", "json: json is an installed module"),
        ("tasks.environment.__globals__.clear", "There is no '__globals__' in 'tasks.environment'."),
        ("tasks.MyWorkflow.__init__", "There is no '__init__'"),
    ],
)
def test_a_name_reaches_the_projects_files_alone(call: Execute, log_of: LogOf, name: str, message: str) -> None:
    """Attack 65: a name may come out of a parameter, and whoever starts an attempt is not always the author."""
    attempt = call("${name}", name=name)

    assert attempt.reason["message"].startswith(message)
    assert log_of(attempt) == ""


def test_what_calls_a_function_is_read_by_a_python_as_old_as_3_7() -> None:
    source = CHILD.read_text()

    ast.parse(source, feature_version=(3, 7))
    assert compile(source, "child", "exec").co_flags & __future__.annotations.compiler_flag
