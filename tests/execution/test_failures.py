"""What data, a command or something of the installation causes is a failure of the task, which `_error` hears of."""

from collections.abc import Callable
from typing import Any

import pytest

from projects import archives
from scheduler.models import Attempt

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
DEEP = "def deep():\n    value = []\n    for _ in range(600):\n        value = [value]\n    return {'value': value}\n"


@pytest.fixture
def heard(execute: Execute, log_of: Callable[[Attempt], str]) -> Callable[..., str]:
    """heard({"sh>": "false"}): what `_error` was told of the task's failure."""

    def run(task: dict[str, Any], **more: Any) -> str:
        attempt = execute({"+a": {**task, "_error": {"echo>": "heard: ${error.message}"}}}, **more)
        return log_of(attempt).rpartition("heard: ")[2].strip()

    return run


def refuse(*_: object, **__: object) -> None:
    """As what is not Python's own does: with an error of its own."""

    class SlowDownError(Exception):
        pass

    raise SlowDownError("please reduce your request rate")


class Refusing:
    """A backend for mail."""

    def __init__(self, **_: object) -> None:
        pass

    send_messages = refuse


def test_a_signal_without_a_name_is_named_by_its_number(heard: Callable[..., str]) -> None:
    assert heard({"sh>": "kill -35 $$"}) == "The command was ended by signal 35."


def test_a_mail_that_a_backend_of_the_installation_refuses_fails_its_task(
    heard: Callable[..., str], settings: Any
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    mail = {"mail>": {"data": "Hello"}, "subject": "Rows", "to": "ann@example.com", "from": "us@example.com"}

    assert heard(mail) == "The mail was not sent: SlowDownError: please reduce your request rate"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"sh>": "true"}, "The project's files could not be unpacked: please reduce your request rate"),
        ({"call>": "in/folder"}, "The project's files could not be read: please reduce your request rate"),
    ],
)
def test_files_that_a_storage_refuses_fail_the_task_that_needs_them(
    heard: Callable[..., str], monkeypatch: pytest.MonkeyPatch, task: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(archives, "original", refuse)

    assert heard(task, files={"in/folder.dig": f"# {message}"}) == message  # an archive that no other test has read


@pytest.mark.parametrize("depth", [121, 900, 20_000])
def test_a_text_that_is_nested_too_deep_for_a_value_fails_its_task(heard: Callable[..., str], depth: int) -> None:
    loop = {"for_each>": {"x": "${data}"}, "_do": {"echo>": "${x}"}}

    assert heard(loop, params={"data": "[" * depth + "]" * depth}) == "A value is nested more than 120 deep."


def test_a_result_that_is_nested_too_deep_fails_its_task(heard: Callable[..., str]) -> None:
    assert heard({"py>": "work.deep"}, files={"work.py": DEEP}) == "A value is nested more than 120 deep."


def test_a_value_as_deep_as_a_file_may_be_is_one(execute: Execute) -> None:
    value = "[" * 120 + "]" * 120

    attempt = execute({"+a": {"for_each>": {"x": value}, "_do": {"echo>": "${x}"}}})

    assert (attempt.status, attempt.reason) == ("success", {})
