"""Commands that want more memory than there is, or are ended from outside: F18."""

from collections.abc import Callable
from typing import Any

import pytest

from projects import archives
from scheduler.models import LogChunk
from tests.faults.invariants import Ledger

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres, pytest.mark.long]

Start = Callable[..., Any]
GREEDY = b"""import resource


def run():
    resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
    return len(b"x" * 10**10)
"""


def test_a_command_that_runs_out_of_memory_fails_alone_and_is_not_run_again(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start
) -> None:
    living = worker()
    beat()
    documents = [
        ({"+greedy": {"sh>": """ulimit -v 500000; python3 -c "len(b'x' * 10**10)" """}}, ""),
        ({"+greedy": {"py>": "greedy.run"}}, archives.store({"greedy.py": GREEDY})),
    ]
    greedy = [queue(document, archive=archive)[0] for document, archive in documents]
    killed = queue({"+killed": {"sh>": "kill -9 $$"}})[0]  # as the kernel does
    good = queue(ledger.task("sleep 0.2"), 5)

    at_rest()
    for attempt in [*greedy, killed]:
        attempt.refresh_from_db()
        assert (attempt.status, attempt.deliveries) == ("error", 1)
    for attempt in greedy:
        said = "".join(LogChunk.objects.filter(attempt=attempt).order_by("pk").values_list("text", flat=True))
        assert "MemoryError" in said + str(attempt.reason)
    assert killed.reason == {
        "message": "The command was ended by SIGKILL.",
        "signal": "SIGKILL",
        "task": killed.reason["task"],
    }
    for attempt in good:
        attempt.refresh_from_db()
        assert (attempt.status, attempt.deliveries) == ("success", 1)
    assert living.process.poll() is None
    nothing_broken()
