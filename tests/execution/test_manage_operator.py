"""`manage>`: management commands from an allow list."""

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.language import LANGUAGE
from scheduler.models import Attempt

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.HINDCAST_MANAGE_COMMANDS = ["clearsessions", "restock", "check", "not_there"]


def test_a_command_runs_with_its_arguments_and_its_output_is_in_the_log(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"manage>": "restock 'two words' tea --since ${session_date} --force"}})

    assert (attempt.status, attempt.reason) == ("success", {})
    assert log_of(attempt).splitlines() == [
        "to stderr",
        "auth_user ['two words', 'tea'] since=2026-03-01 force=True",
        "returned",
    ]


def test_a_value_is_one_argument_whatever_is_in_it(execute: Execute, log_of: LogOf) -> None:
    value = "a b' \"; $(id) --force"
    document = {"+a": {"manage>": 'restock ${x} "it\'s ${x}" --since=${x}'}, "+b": {"manage>": ["restock", "${x}"]}}

    attempt = execute(document, params={"x": value})

    assert f"auth_user {[value, 'it' + chr(39) + 's ' + value]} since={value} force=False\n" in log_of(attempt)
    assert f"auth_user {[value]} since= force=False\n" in log_of(attempt)


@pytest.mark.parametrize("command", ["restock ${x}", "restock --since ${x}", ["restock", "${x}"], "restock '${y}${x}'"])
@pytest.mark.parametrize("value", ["--force", "-v3", "--upload-pack=id", "-"])
def test_a_value_never_becomes_an_option(execute: Execute, log_of: LogOf, command: Any, value: str) -> None:
    attempt = execute({"+a": {"manage>": command}}, params={"x": value, "y": ""})

    assert "begins with a -, and would be an option" in attempt.reason["message"]
    assert log_of(attempt) == ""


def test_an_expression_with_spaces_and_quotes_is_one_word(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"manage>": "restock ${[1, 2].map(x => 'n ' + x).join(\" \")} end"}})

    assert "['n 1 n 2', 'end']" in log_of(attempt)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("--fail error", "restock: nothing to buy", 4),
        ("--fail exit", "restock ended with exit code 5.", 5),
        ("--fail bug", "KeyError: 'shelf'", 1),
        ("--nope", "restock ended with exit code 2.", 2),
        ("--settings=evil", "--settings is not for manage>.", 2),
        ("--pythonp /tmp", "--pythonpath is not for manage>.", 2),
    ],
)
def test_a_command_that_fails_says_how(
    execute: Execute, log_of: LogOf, arguments: str, message: str, code: int
) -> None:
    attempt = execute({"+a": {"manage>": f"restock {arguments}"}})

    assert attempt.reason["exit_code"] == code
    assert attempt.reason["message"] == message


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("shell", "manage> may not run 'shell'; it may run clearsessions, restock, check and not_there."),
        ("restok", "manage> may not run 'restok'; did you mean restock?"),
        ("migrate --fake", "manage> may not run 'migrate'"),
        ("not_there", "manage> may run 'not_there', but no application here has such a command."),
        ("restock 'open", "cannot be cut into words: No closing quotation."),
        ("", "manage> takes a command"),
        (None, "manage> takes a command"),
        ([], "manage> takes a command"),
    ],
)
def test_what_may_not_run_is_refused_before_and_when_it_runs(execute: Execute, command: Any, message: str) -> None:
    assert message in next(iter(LANGUAGE.task_problems("manage", {"manage>": command})))
    assert message in execute({"+a": {"manage>": command}}).reason["message"]


def test_a_command_named_by_a_value_is_looked_at_when_it_runs(execute: Execute) -> None:
    assert list(LANGUAGE.task_problems("manage", {"manage>": "${command} x"})) == []
    assert "may not run 'flush'" in execute({"+a": {"manage>": "${x}"}}, params={"x": "flush"}).reason["message"]
