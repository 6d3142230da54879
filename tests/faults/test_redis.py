"""A Redis of the test's own that is stopped, started again and emptied: F5, F6. Needs the program `redis-server`."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from scheduler.models import Attempt
from tests.faults.conftest import PATIENCE

pytestmark = [
    pytest.mark.faults,
    pytest.mark.processes,
    pytest.mark.postgres,
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server"),
]

Start = Callable[..., Any]
MOST_SECONDS = 1.5


class Server:
    """Started and stopped at will, on one port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.client = Redis(port=self.port)
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--dir", self.folder], stdout=log, stderr=log)
        end = time.monotonic() + 30
        while not self.answers():
            assert time.monotonic() < end, (self.folder / "redis.log").read_text()
            time.sleep(0.05)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.client.close()


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(tmp_path)
    monkeypatch.setenv("TEST_BROKER_URL", f"redis://127.0.0.1:{server.port}/0")
    yield server
    server.stop()


@pytest.fixture
def own_broker(redis: Server, own_broker: dict[str, str]) -> dict[str, str]:
    return own_broker


def test_a_backfill_is_accepted_while_the_broker_is_away_and_runs_when_it_is_back(
    redis: Server,
    worker: Start,
    beat: Start,
    make_schedule: Start,
    ledger: Any,
    api_key: str,
    at_rest: Start,
    nothing_broken: Start,
) -> None:
    processes = [worker(), beat()]
    schedule = make_schedule("0 * * * *", document=ledger.task(), at=datetime.now(UTC))
    first = (schedule.next_session_time - timedelta(hours=5)).isoformat()
    client = Client(headers={"Authorization": f"TD1 {api_key}"})
    redis.stop()

    asked_at = time.monotonic()
    answer = client.post(
        f"/api/schedules/{schedule.pk}/backfill",
        {"attemptName": "again", "fromTime": first, "dryRun": False},
        "application/json",
    )
    took = time.monotonic() - asked_at
    redis.start()

    assert answer.status_code == 200
    assert took < MOST_SECONDS
    at_rest()
    assert [process.process.poll() for process in processes] == [None, None]
    assert Attempt.objects.filter(status="success").count() == 5
    nothing_broken()


def test_work_goes_on_after_the_broker_forgot_everything(
    redis: Server,
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Any,
    wait_until: Start,
    at_rest: Start,
    nothing_broken: Start,
) -> None:
    worker()
    beat()
    queued = queue(ledger.task("sleep 0.1"), 30)
    wait_until(lambda: len(ledger.lines()) > 4, PATIENCE)

    redis.client.flushall()
    more = queue(ledger.task(), 5)
    redis.client.flushall()

    at_rest()
    for attempt in [*queued, *more]:
        attempt.refresh_from_db()
        assert (attempt.status, ledger.begins(attempt.pk)) == ("success", 1)
    later = queue(ledger.task(), 1)
    at_rest()
    assert ledger.begins(later[0].pk) == 1
    nothing_broken()
