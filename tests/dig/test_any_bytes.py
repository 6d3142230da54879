"""Whatever the bytes: documents of plain JSON, or the refusal that tells why not."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from projects.dig import Document, FilesRefused, read
from tests.dig.language import LANGUAGE

# Pieces that mean something, so that much of what is put together is nearly a workflow.
PIECES = [
    *("+a", "+b:", ": ", "\n", "  ", "    ", "- ", "echo>: ", "loop>: 2", "_do:", "_error:", "_retry: ", "_parallel: "),
    *("_export:", "schedule:", "timezone: ", "UTC", "daily>: 07:00:00", "cron>: '0 0 * * *'", "_type: echo", "_env: "),
    *(
        "!include : ",
        "!include ",
        "x.dig",
        "w.dig",
        "&a ",
        "*a",
        "<<: ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "'",
        '"',
        "# ",
        "|\n",
    ),
    *("\t", "? ", "--- ", "...\n", "!!str ", "%TAG", "1", "true", "~", "é", "\\0", "\x00", "\ufeff", "limit: ", "${x}"),
]


def answer(files: dict[str, bytes]) -> dict[str, Document] | FilesRefused:
    try:
        return read(files, language=LANGUAGE)
    except FilesRefused as refused:
        return refused


def check(files: dict[str, bytes]) -> None:
    answered = answer(files)
    if isinstance(answered, FilesRefused):
        assert answered.problems
        assert all(problem.message and "\n" not in problem.message for problem in answered.problems)
        assert list(answered.problems) == sorted(answered.problems)
    else:
        assert json.loads(json.dumps(answered, allow_nan=False)) == answered


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.binary(max_size=200), st.binary(max_size=100))
def test_any_bytes(workflow: bytes, included: bytes) -> None:
    check({"w.dig": workflow, "x.dig": included})


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text(max_size=200), st.text(max_size=100))
def test_any_text(workflow: str, included: str) -> None:
    check({"w.dig": workflow.encode("utf-8", "surrogatepass"), "x.dig": included.encode("utf-8", "surrogatepass")})


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=40), st.lists(st.sampled_from(PIECES), max_size=20))
@example(["+a", ": ", "!include ", "x.dig"], ["!include : ", "w.dig"])
def test_almost_workflows(workflow: list[str], included: list[str]) -> None:
    check({"w.dig": "".join(workflow).encode(), "x.dig": "".join(included).encode()})
