import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

import scheduler
from scheduler.broker import DOORBELL_HEADER, MAX_DOORBELLS, broker_url

ROOT = Path(scheduler.__file__).parents[1]
Start = Callable[..., "subprocess.Popen[str]"]

PRODUCER = """
import sys
from kombu import Connection
import scheduler.broker

with Connection(sys.argv[1]) as connection:
    queue = connection.SimpleQueue("numbers")
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        queue.put(number)
"""

CONSUMER = """
import sys, threading, time
from queue import Empty
from kombu import Connection
import scheduler.broker

def consume():
    with Connection(sys.argv[1]) as connection:
        queue = connection.SimpleQueue("numbers")
        while time.monotonic() < deadline:
            try:
                message = queue.get(timeout=0.1)
            except Empty:
                continue
            message.ack()
            if message.payload == "end":
                return
            sys.stdout.write(f"{message.payload}\\n")

deadline = time.monotonic() + 15
threads = [threading.Thread(target=consume) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

FORKER = """
import os, signal, sys, threading
import kombu.simple
from kombu import Connection
import scheduler.broker

def put(first):
    with Connection(sys.argv[1]) as connection:
        queue = connection.SimpleQueue("numbers")
        for number in range(first, first + 100):
            queue.put(number)

busy = threading.Thread(target=put, args=(0,))
busy.start()
children = []
for first in range(100, 600, 100):
    pid = os.fork()
    if not pid:
        signal.alarm(8)
        put(first)
        os._exit(0)
    children.append(pid)
busy.join()
sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
"""

HOLDER = """
import sys
from kombu import Connection
import scheduler.broker

with Connection(sys.argv[1]) as connection:
    queue = connection.SimpleQueue("numbers")
    for line in sys.stdin:
        queue.put(line.strip())
        print("put", flush=True)
"""

APP = """
import os, time
from celery import Celery
import scheduler.broker

app = Celery("tiny", broker=os.environ["TINY_BROKER"])
app.conf.update(
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)

def note(line):
    with open(os.environ["TINY_LEDGER"], "a") as ledger:
        ledger.write(line + "\\n")

@app.task
def record(number):
    note(str(number))

@app.task
def hang():
    note("hanging")
    time.sleep(60)

@app.task
def ring_again(number):
    record.delay(number)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return broker_url(tmp_path / "broker.sqlite3")


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with Connection(url) as connection:
        yield connection


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python in a process group of its own; whatever still runs after the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            "TINY_BROKER": broker_url(tmp_path / "broker.sqlite3"),
            "BROKER_URL": "",  # that of the suite, which the celery command would take for its own
            "TINY_LEDGER": str(tmp_path / "ledger"),
            "PYTHONUNBUFFERED": "1",
        }
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        return process

    yield start

    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
        process.wait(timeout=20)


def payloads(connection: Connection, name: str = "numbers") -> list[Any]:
    """Takes every message from a queue."""
    taken = []
    channel = connection.default_channel
    while message := channel.basic_get(name, no_ack=True):
        taken.append(message.payload)
    return taken


def put(connection: Connection, *values: Any, queue: str = "numbers", **options: Any) -> None:
    for value in values:
        connection.SimpleQueue(queue).put(value, **options)


def size(connection: Connection, queue: str = "numbers") -> int:
    return int(connection.default_channel._size(queue))


def eventually(condition: Callable[[], bool], *, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


def test_a_message_that_was_put_is_got_once(connection: Connection) -> None:
    put(connection, {"lane": "manual"})

    assert payloads(connection) == [{"lane": "manual"}]
    assert payloads(connection) == []


def test_a_queue_keeps_the_order_of_its_messages(connection: Connection) -> None:
    put(connection, *range(20))

    assert payloads(connection) == list(range(20))


def test_messages_outlive_the_connection_that_put_them(url: str) -> None:
    with Connection(url) as first:
        put(first, 1)

    with Connection(url) as second:
        assert payloads(second) == [1]


def test_an_unfinished_message_is_put_back_when_its_consumer_closes(url: str) -> None:
    with Connection(url) as first:
        put(first, "begun", "done")
        first.default_channel.basic_get("numbers")
        first.default_channel.basic_get("numbers").ack()

    with Connection(url) as second:
        assert payloads(second) == ["begun"]


def test_a_full_queue_does_not_starve_another(connection: Connection) -> None:
    put(connection, *["backfill"] * 50, queue="backfill")
    put(connection, "manual", queue="manual")
    order: list[str] = []

    with connection.Consumer(
        [connection.SimpleQueue(name).queue for name in ("backfill", "manual")],
        callbacks=[lambda body, message: order.append(body)],
        no_ack=True,
    ):
        for _ in range(3):
            connection.drain_events(timeout=1)

    assert "manual" in order[:2]


def test_purging_a_queue_empties_it_alone(connection: Connection) -> None:
    put(connection, 1, 2, 3)
    put(connection, 4, queue="other")

    purged = connection.default_channel.queue_purge("numbers")

    assert purged == 3
    assert (size(connection), size(connection, "other")) == (0, 1)


def test_doorbells_beyond_the_limit_say_nothing_new_and_are_dropped(connection: Connection) -> None:
    put(connection, *range(MAX_DOORBELLS + 10), headers={DOORBELL_HEADER: True})
    put(connection, "other lane", queue="other", headers={DOORBELL_HEADER: True})

    assert size(connection) == MAX_DOORBELLS
    assert size(connection, "other") == 1


def test_messages_that_are_no_doorbells_are_never_dropped(connection: Connection) -> None:
    put(connection, *range(MAX_DOORBELLS), headers={DOORBELL_HEADER: True})

    put(connection, *range(MAX_DOORBELLS + 10))

    assert size(connection) == 2 * MAX_DOORBELLS + 10


def test_a_backlog_of_messages_does_not_keep_a_doorbell_out(connection: Connection) -> None:
    put(connection, *range(MAX_DOORBELLS + 10))

    put(connection, "doorbell", headers={DOORBELL_HEADER: True})

    assert payloads(connection)[-1] == "doorbell"


def test_a_path_with_characters_that_mean_something_in_a_url_works(tmp_path: Path) -> None:
    directory = tmp_path / "a b%20+;#?@é"
    directory.mkdir()

    with Connection(broker_url(directory / "broker.sqlite3")) as connection:
        put(connection, 1)

        assert payloads(connection.clone()) == [1]
    assert (directory / "broker.sqlite3").exists()


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert broker_url(Path("broker.sqlite3")) == broker_url(tmp_path / "broker.sqlite3")


@pytest.mark.parametrize("url", ["hindcast+sqlite:///var/b", "hindcast+mysql:////b", "hindcast+sqlite://"])
def test_a_url_without_an_absolute_path_is_refused(url: str) -> None:
    connection = Connection(url)

    with pytest.raises(ValueError, match="hindcast\\+sqlite:////absolute/path"):
        connection.connect()


def test_a_file_that_cannot_be_made_looks_like_a_broker_that_is_away(tmp_path: Path) -> None:
    connection = Connection(broker_url(tmp_path / "missing" / "broker.sqlite3"))

    with pytest.raises(OperationalError, match="missing"):
        connection.ensure_connection(max_retries=1, interval_start=0)


@pytest.mark.parametrize("endings", [("",), ("", "-wal", "-shm")], ids=["alone", "with its log"])
def test_a_file_removed_under_running_processes_is_made_anew(
    url: str, tmp_path: Path, connection: Connection, start: Start, endings: tuple[str, ...]
) -> None:
    holder = start("-c", HOLDER, url, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin
    assert holder.stdout
    print("lost", file=holder.stdin, flush=True)
    assert holder.stdout.readline() == "put\n"
    put(connection, "lost too")

    for ending in endings:
        (tmp_path / f"broker.sqlite3{ending}").unlink()
    put(connection, "here")
    print("there", file=holder.stdin, flush=True)

    assert holder.stdout.readline() == "put\n"
    assert payloads(connection) == ["here", "there"]


@pytest.mark.processes
def test_children_forked_while_a_thread_uses_the_broker_can_use_it_too(
    url: str, connection: Connection, start: Start
) -> None:
    forker = start("-W", "ignore::DeprecationWarning", "-c", FORKER, url)

    assert forker.wait(timeout=30) == 0
    assert sorted(payloads(connection)) == list(range(600))


@pytest.mark.processes
def test_many_producers_and_consumers_at_once_lose_and_double_nothing(
    url: str, connection: Connection, start: Start
) -> None:
    consumers = [start("-c", CONSUMER, url, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    producers = [
        start("-c", PRODUCER, url, str(first), str(last), stderr=subprocess.PIPE)
        for first, last in ((0, 167), (167, 334), (334, 500))
    ]
    assert [producer.communicate(timeout=40)[1] for producer in producers] == ["", "", ""]
    put(connection, *["end"] * 8)

    outputs = [consumer.communicate(timeout=40) for consumer in consumers]

    assert [errors for _, errors in outputs] == ["", ""]
    assert sorted(int(line) for output, _ in outputs for line in output.split()) == list(range(500))
    assert all(output for output, _ in outputs)


class Worker:
    """A Celery worker process, its ledger of what ran, and a sender to it."""

    def __init__(self, *, directory: Path, url: str, start: Start) -> None:
        (directory / "tiny.py").write_text(APP)
        self.directory, self.start = directory, start
        self.sender = Celery("sender", broker=url)

    def run(self, pool: str) -> "subprocess.Popen[str]":
        options = ["--without-mingle", "--without-gossip", "--without-heartbeat", "-c", "2", "-l", "INFO"]
        log = self.directory / "log"
        with log.open("w") as output:
            process = self.start(
                *["-m", "celery", "-A", "tiny", "worker", "--pool", pool, *options], stdout=output, stderr=output
            )
        assert eventually(lambda: " ready." in log.read_text()), log.read_text()
        return process

    def send(self, task: str, *arguments: Any) -> None:
        self.sender.send_task(f"tiny.{task}", arguments)

    def ran(self) -> list[str]:
        ledger = self.directory / "ledger"
        return ledger.read_text().split() if ledger.exists() else []


@pytest.fixture
def worker(tmp_path: Path, url: str, start: Start) -> Iterator[Worker]:
    worker = Worker(directory=tmp_path, url=url, start=start)
    yield worker
    worker.sender.close()


@pytest.mark.processes
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_runs_tasks_and_ends_on_sigterm(worker: Worker, pool: str) -> None:
    process = worker.run(pool)

    for number in range(400):
        worker.send("record", number)
    # Slower than this means it sleeps whenever it has fetched as much as it may.
    done_in_time = eventually(lambda: len(worker.ran()) >= 400, seconds=3)
    worker.send("ring_again", 400)
    assert eventually(lambda: len(worker.ran()) >= 401)
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=20) == 0
    assert sorted(map(int, worker.ran())) == list(range(401))
    assert done_in_time


@pytest.mark.processes
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_after_a_worker_was_killed_another_one_goes_on(worker: Worker, pool: str) -> None:
    killed = worker.run(pool)
    worker.send("hang")
    assert eventually(lambda: worker.ran() == ["hanging"])

    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(timeout=20)
    for number in range(20):
        worker.send("record", number)
    worker.run(pool)

    assert eventually(lambda: len(worker.ran()) >= 21)
    assert sorted(worker.ran()[1:], key=int) == [str(number) for number in range(20)]
