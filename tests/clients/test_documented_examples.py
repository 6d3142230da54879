"""The examples of Digdag's documentation that need nothing but Hindcast, written anew with the same constructs.

Each folder of `documented/` is a project as a person would push it, named after the page that it is from. What comes of
it is in its `expected.yaml`:

    workflow:         the one that is run; without it there is only one
    session_time:     for which time; 2026-03-02 00:00 UTC when left out
    params:           what the attempt is started with
    status:           how it ends: success when left out
    error:            a part of the reason, when it fails
    log:              all lines, as they were written; with !like a pattern of one
    log_in_any_order: all lines of tasks that run beside each other
    log_has:          some of the lines
    states:           of tasks by full name; all of them, where the workflow itself is among them
    waits:            for how many seconds it went back into the queue
    others:           the sessions of other workflows by name: session time and status of the last attempt
    other_sessions:   how many there are of each, all of them successful
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from projects.models import Revision
from scheduler import starting
from scheduler.models import Attempt, LogChunk, Session
from tests.clients.to_the_end import run_to_the_end

pytestmark = pytest.mark.django_db

EXAMPLES = Path(__file__).parent / "documented"
KEYS = {"workflow", "session_time", "params", "status", "error", "log", "log_in_any_order", "log_has", "states"}
KEYS |= {"waits", "others", "other_sessions"}
SESSION_TIME = "2026-03-02T00:00:00+00:00"


@dataclass(frozen=True)
class Like:
    pattern: str

    def __eq__(self, line: object) -> bool:
        return isinstance(line, str) and re.fullmatch(self.pattern, line) is not None


class Loader(yaml.SafeLoader):
    pass


Loader.add_constructor("!like", lambda loader, node: Like(node.value))


def expected_of(example: Path) -> dict[str, Any]:
    expected: dict[str, Any] = yaml.load((example / "expected.yaml").read_text(), Loader)
    assert set(expected) <= KEYS
    return expected


@pytest.mark.parametrize("example", sorted(EXAMPLES.iterdir()), ids=lambda example: example.name)
def test_an_example_does_what_the_documentation_says(example: Path, push: Callable[..., Revision]) -> None:
    expected = expected_of(example)
    attempt = started(push(example), expected)

    waits = run_to_the_end(attempt)

    found = (attempt.status, attempt.reason, log_of(attempt))
    assert attempt.status == expected.get("status", "success"), found
    assert expected.get("error", "") in attempt.reason.get("message", ""), found
    check_log(log_of(attempt), expected)
    check_states(attempt, expected.get("states", {}))
    check_others(attempt, expected)
    assert [round(wait) for wait in waits] == expected.get("waits", [round(wait) for wait in waits])


def started(revision: Revision, expected: dict[str, Any]) -> Attempt:
    named = {"workflow__name": expected["workflow"]} if "workflow" in expected else {}
    return starting.start(
        definition_id=revision.definitions.get(**named).pk,
        session_time=datetime.fromisoformat(expected.get("session_time", SESSION_TIME)),
        params=expected.get("params"),
        now=datetime.now(UTC),
    )


def log_of(attempt: Attempt) -> list[str]:
    texts = LogChunk.objects.filter(attempt=attempt).order_by("pk").values_list("text", flat=True)
    return "".join(texts).splitlines()


def check_log(lines: list[str], expected: dict[str, Any]) -> None:
    if "log_in_any_order" in expected:
        assert sorted(lines) == sorted(expected["log_in_any_order"])
    elif "log_has" in expected:
        assert [line for line in expected["log_has"] if line not in lines] == [], lines
    else:
        assert lines == expected.get("log", [])


def check_states(attempt: Attempt, expected: dict[str, str]) -> None:
    states = dict(attempt.tasks.values_list("full_name", "state"))
    whole = f"+{attempt.definition.workflow.name}" in expected
    assert (states if whole else {name: states.get(name) for name in expected}) == expected


def check_others(attempt: Attempt, expected: dict[str, Any]) -> None:
    others = Session.objects.exclude(workflow=attempt.workflow_id).order_by("session_time")
    for name, sessions in expected.get("others", {}).items():
        rows = others.filter(workflow__name=name, attempts__is_latest=True)
        assert list(rows.values_list("session_time", "attempts__status")) == [tuple(row) for row in sessions]
    for name, count in expected.get("other_sessions", {}).items():
        assert others.filter(workflow__name=name, attempts__status="success").count() == count
