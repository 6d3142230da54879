"""Workers that cannot reach the database, which goes on without them: F24, and the self-kill of F7.

On packets that are lost this was red before the settings of the connections named a time after which a silent server
is gone: slots and the renewals hung for the quarter of an hour that the kernel takes.
"""

import ctypes
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from scheduler.models import AttemptStatus
from tests.faults.conftest import PATIENCE, SHORT
from tests.faults.invariants import Ledger, left_processes
from tests.faults.line import Line
from tests.processes import database_url

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes of each packet


class Wire(Line):
    """A line whose packets get lost: nothing is acknowledged, no connection is made, and nobody is told."""

    def lose(self) -> None:
        program = struct.pack("HP", 1, ctypes.addressof(DROP_ALL))
        for end in (self._listener, *(pair.client for pair in self._pairs)):
            end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def find(self) -> None:
        """New connections get through. The old ones never will, as when a firewall on the way has forgotten them."""
        self._listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


@pytest.fixture
def wire(transactional_db: None) -> Iterator[Wire]:
    there = Wire((connection.settings_dict["HOST"], int(connection.settings_dict["PORT"] or 5432)))
    yield there
    there.close()


@pytest.fixture
def isolated(wire: Wire, start_worker: Start) -> Start:
    """A worker that reaches the database by the wire alone. Its command has to end 4 s after the last renewal."""

    def start(pool: str) -> Any:
        parts = urlsplit(database_url())
        address = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{wire.port}"
        there = {"DATABASE_URL": urlunsplit(parts._replace(netloc=address))}
        return start_worker(pool, **{**SHORT, **there, "HINDCAST_LEASE_SECONDS": "6", "HINDCAST_RENEW_SECONDS": "2"})

    return start


@pytest.mark.parametrize(
    ("pool", "fault", "mend"),
    [
        ("threads", Wire.lose, Wire.find),
        ("threads", Wire.cut, Wire.heal),
        pytest.param("prefork", Wire.lose, Wire.find, marks=pytest.mark.long),
    ],
)
def test_a_worker_that_cannot_reach_the_database_ends_its_command_before_somebody_else_may_begin(
    isolated: Start,
    worker: Start,
    beat: Start,
    wire: Wire,
    queue: Start,
    ledger: Ledger,
    wait_until: Start,
    at_rest: Start,
    nothing_broken: Start,
    tmp_path: Path,
    pool: str,
    fault: Callable[[Wire], None],
    mend: Callable[[Wire], None],
) -> None:
    living = tmp_path / "living"
    lone = isolated(pool)
    first_alone = f'case "$PWD" in *.1) while :; do date +%s.%N >> {living}; sleep 0.05; done ;; esac'
    (attempt,) = queue(ledger.task(first_alone))
    wait_until(living.exists, PATIENCE)

    fault(wire)

    wait_until(lambda: not list(left_processes(tmp_path / "work")), PATIENCE)
    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.RUNNING
    assert float(living.read_text().split()[-1]) < attempt.lease_expires_at.timestamp()

    other = worker()
    beat()
    at_rest()
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries, ledger.begins(attempt.pk)) == ("success", 2, 2)
    assert (attempt.pk, 1, "end") not in ledger.lines()

    assert other.stop() == 0
    wait_until(lambda: "leases_not_renewed" in lone.output.read_text(), PATIENCE)
    mend(wire)
    later = queue({"+both": {"sh>": meet(tmp_path) + "sleep 5"}}, 2)
    at_rest(2 * PATIENCE)
    for attempt in later:
        attempt.refresh_from_db()
        assert (attempt.status, attempt.deliveries) == ("success", 1)
    assert lone.stop() == 0
    nothing_broken()


def meet(folder: Path) -> str:
    """Two attempts that wait for each other: they need both slots."""
    return f'touch "{folder}/met.$ATTEMPT_ID"; until [ "$(ls {folder}/met.* | wc -l)" = 2 ]; do sleep 0.1; done; '
