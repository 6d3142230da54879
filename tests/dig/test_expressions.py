"""What does not parse between `${` and `}` is told when a file is read. The wording stands in `bad/expressions.txt`."""

import time
from typing import Any

import pytest

from scheduler.execution import expressions, mistakes
from tests.dig.language import refusals


@pytest.mark.parametrize(
    "text",
    [
        "${a}",
        "${a.b.c-d}",
        "${ a }",
        "${}",
        "${a",
        "$${a}",
        "${word:-what the shell does}",
        "${secret:a.b}",
        "${a + {b: '}'}['b']}",
        "${'}'}",
        "${x => x}",
        "${throws()}",
    ],
)
def test_what_parses_or_is_no_expression_is_taken(text: str) -> None:
    assert refusals(f"+a:\n  echo>: {text!r}\n+b:\n  sh>: {text!r}".replace("\\'", "''")) == []


def test_shell_text_is_read_as_the_shell_reads_it() -> None:
    assert refusals("+a:\n  sh>: |\n    echo \\${x +}\n    # ${x +} ${unclosed\n    echo '${x + 1}' $$") == []


def test_names_alone_never_ask_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(expression: str) -> None:
        raise AssertionError(expression)

    monkeypatch.setattr(expressions, "parse", asked)

    assert refusals("_export: {a: '${b}'}\n+a: {echo>: 'x ${a.b} ${c}'}\n+b: {sh>: 'echo ${a} $HOME'}") == []


def test_an_expression_is_not_run(tmp_path: Any) -> None:
    started = time.monotonic()

    assert refusals("+a:\n  echo>: ${(() => { while (true); })()}\n") == []
    assert time.monotonic() - started < 5


def test_no_more_are_looked_at_than_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(expressions, "parse", asked.append)
    rows = "\n".join(f"    - ${{{number} + 1}} ${{1 + 1}}" for number in range(3000))

    assert refusals(f"+a:\n  echo>: x\n  rows:\n{rows}") == []
    assert len(asked) == mistakes.MOST_EXPRESSIONS


def test_an_engine_that_cannot_say_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(expression: str) -> None:
        raise expressions.ExpressionFailed("The engine of expressions could not be started")

    monkeypatch.setattr(expressions, "parse", broken)

    assert refusals("+a: {echo>: '${1 +}'}") == []
