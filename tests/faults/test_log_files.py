"""A worker that is killed while it moves a log into the storage."""

import gzip
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from scheduler import logs
from scheduler.models import Attempt, LogChunk, LogFile
from tests.faults.conftest import PATIENCE
from tests.faults.invariants import Ledger

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]


@pytest.mark.parametrize("point", ["logs.after_files", "logs.after_move"])
def test_a_worker_that_is_killed_while_it_moves_a_log_loses_and_doubles_nothing(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, wait_until: Start, nothing_broken: Start, point: str
) -> None:
    dying = worker(HINDCAST_CRASH_AT=point, HINDCAST_LOG_MOVE_SECONDS="0.5")
    (attempt,) = queue({"+a": {"echo>": "first"}, "+b": {"sh>": "echo second"}})

    assert dying.process.wait(PATIENCE) == -signal.SIGKILL
    assert "".join(logs.text(attempt.pk)) == "first\nsecond\n"
    worker(HINDCAST_LOG_MOVE_SECONDS="0.5")
    beat()
    # the dead one may have had the lead, which ends by itself
    wait_until(lambda: not LogChunk.objects.exists(), PATIENCE)

    assert Attempt.objects.get(pk=attempt.pk).status == "success"
    assert {position: gzip.decompress(path.read_bytes()) for position, path in _files(attempt).items()} == {
        1: b"first\n",
        2: b"second\n",
    }
    nothing_broken()


def _files(attempt: Attempt) -> dict[int, Path]:
    rows = LogFile.objects.filter(attempt=attempt)
    return {row.position: Path(settings.STORAGES["logs"]["OPTIONS"]["location"]) / row.name for row in rows}
