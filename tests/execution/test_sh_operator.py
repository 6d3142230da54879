"""`sh>`: its shell and its environment."""

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.language import LANGUAGE
from scheduler.models import Attempt

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]


@pytest.mark.parametrize("shell", ["bash", ["bash"], "bash -u", ["/bin/bash", "-e", "-u"]])
def test_another_shell_reads_the_command_with_its_values_quoted(execute: Execute, log_of: LogOf, shell: object) -> None:
    command = "[[ -n $BASH_VERSION ]] && cat <<< ${x} && echo '${x}'"

    attempt = execute({"+a": {"sh>": command, "shell": shell}}, params={"x": "$(id); `id`"})

    assert (attempt.status, log_of(attempt)) == ("success", "$(id); `id`\n" * 2)


def test_the_arguments_of_a_shell_hold(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"sh>": "false\necho on", "shell": ["bash", "-e"]}})

    assert (attempt.reason["exit_code"], log_of(attempt)) == (1, "")


def test_python_reads_a_command_and_its_values_from_the_environment(execute: Execute, log_of: LogOf) -> None:
    command = "import os, sys\nfor name in ('N', 'WHO'):\n    print(name, os.environ[name])\nsys.exit(3)"
    env = {"N": 5, "WHO": "it's ${x}"}

    attempt = execute({"+a": {"sh>": command, "shell": "python3", "_env": env}}, params={"x": '"; id'})

    assert log_of(attempt) == "N 5\nWHO it's \"; id\n"
    assert attempt.reason["exit_code"] == 3


def test_the_tasks_own_environment_goes_before_what_is_exported(execute: Execute, log_of: LogOf) -> None:
    document = {
        "_export": {"A": "exported", "B": "exported"},
        "+a": {"sh>": "echo $A $B $C", "_env": {"A": 1, "C": True}},
    }

    assert log_of(execute(document)) == "1 exported true\n"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sh>": "echo ${x}", "shell": "python3"}, "A ${…} in a command is written for sh, bash and dash alone"),
        ({"sh>": "[ ${x} -gt 5 ]", "shell": "zsh"}, "A ${…} in a command is written for sh, bash and dash alone"),
        ({"sh>": "[ ${x} -gt 5 ]", "shell": ["/bin/ksh", "-e"]}, "alone, not for /bin/ksh: give the value a name"),
        ({"sh>": "x", "shell": ""}, "shell: is a program"),
        ({"sh>": "x", "shell": []}, "shell: is a program"),
        ({"sh>": "x", "shell": ["bash", 1]}, "shell: is a program"),
        ({"sh>": "x", "shell": "bash 'open"}, "shell: is a program"),
        ({"sh>": "x", "shell": {"bash": 1}}, "shell: is a program"),
        ({"sh>": "x", "shell": "${x}"}, "shell: is written out; no variable stands in it."),
    ],
)
def test_a_shell_that_cannot_be_is_refused_before_and_when_it_runs(
    execute: Execute, log_of: LogOf, config: dict[str, Any], message: str
) -> None:
    assert message in next(iter(LANGUAGE.task_problems("sh", config)))
    attempt = execute({"+a": config}, params={"x": "1"})
    assert message in attempt.reason["message"]
    assert log_of(attempt) == ""


def test_a_shell_that_is_not_there_fails_the_task(execute: Execute) -> None:
    assert execute({"+a": {"sh>": "x", "shell": "no-such-shell"}}).reason["exit_code"] == 127


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"A-B": 1}, "'A-B' is not a name of the environment"),
        ({"A": None}, "A: in _env: takes a text, not nothing."),
        ({"A": [1]}, "A: in _env: takes a text, not a list."),
        ({"A": "${'\\0'}"}, "A: in _env: has a NUL in it"),
        ({"A": "${secret:nope}"}, "nope"),
    ],
)
def test_an_environment_that_cannot_be_fails_the_task(execute: Execute, env: dict[str, Any], message: str) -> None:
    assert message in execute({"+a": {"sh>": "echo ran", "_env": env}}).reason["message"]
