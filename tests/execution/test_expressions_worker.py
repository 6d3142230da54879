"""Expressions in real workers: of threads, and of processes that were forked."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.models import Attempt

pytestmark = pytest.mark.processes

Make = Callable[..., Attempt]
MARK = "expressions/child.py"


def engines_of(worker: int) -> list[int]:
    """The engines among the descendants of a process."""
    listed = subprocess.run(["ps", "-wweo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [
        (int(pid), int(parent), args) for pid, parent, args in (row.split(None, 2) for row in listed.splitlines()[1:])
    ]
    family = {worker}
    while more := {pid for pid, parent, _ in rows if parent in family} - family:
        family |= more
    return [pid for pid, _, args in rows if pid in family and MARK in args]


def runs(pid: int) -> bool:
    listed = subprocess.run(["ps", "-wwo", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return MARK in listed


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_bombs_end_their_attempts_and_no_worker(
    start_worker: Callable[..., Any],
    start: Make,
    ended: Make,
    log_of: Callable[[Attempt], str],
    wait_until: Callable[..., Any],
    pool: str,
) -> None:
    worker = start_worker(pool)
    good = {
        "+a": {"echo>": "${moment(session_time).add(1, 'days').format('YYYY-MM-DD')}"},
        "+b": {"sh>": "echo ${6 * 7}"},
    }
    endless = start({"+a": {"echo>": "${(() => { while (1); })()}"}})
    aborting = start({"+a": {"echo>": "${'a'.padEnd(2**28).split('').length}"}})
    attempts = [start(good) for _ in range(4)]

    assert [ended(attempt, timeout=60).status for attempt in attempts] == ["success"] * 4
    assert [log_of(attempt) for attempt in attempts] == ["2026-03-02\n42\n"] * 4
    assert ended(endless, timeout=60).reason["message"].endswith("It took more than 1 s of computing.")
    assert ended(aborting, timeout=60).reason["message"].endswith("It needed more than 64 MB of memory.")

    engines = engines_of(worker.pid)
    assert len(engines) in ((1,) if pool == "threads" else (1, 2))
    worker.stop()
    wait_until(lambda: not any(runs(pid) for pid in engines), 30)


def test_an_engine_does_not_outlive_a_worker_that_was_killed(
    start_worker: Callable[..., Any], start: Make, ended: Make, wait_until: Callable[..., Any]
) -> None:
    worker = start_worker()
    assert ended(start({"+a": {"echo>": "${6 * 7}"}}), timeout=60).status == "success"
    engines = engines_of(worker.pid)

    worker.kill()

    assert engines
    wait_until(lambda: not any(runs(pid) for pid in engines), 30)
