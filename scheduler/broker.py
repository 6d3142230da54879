"""The embedded broker: a kombu transport that keeps its messages in a SQLite file of its own.

Importing this module makes `hindcast+sqlite:////absolute/path/broker.sqlite3` a valid Celery `broker_url`;
`broker_url()` writes one. kombu cuts it at the `+`: `hindcast` names the transport, the rest is left to us.

A message goes to one consumer, oldest first within its queue, and its row is gone once it is delivered.
A consumer that is killed loses what it had fetched; one that ends in good order puts back what it had not
started. Queues take turns. There is no fanout: `celery inspect` and `celery control` reach nobody.
Needs SQLite 3.35 (`RETURNING`) and a file system with working locks: not NFS.
"""

import atexit
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any, Final
from urllib.parse import quote, unquote

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils import json

# A message with this header says no more than "look at the database". Where a queue holds MAX_DOORBELLS of
# them, one more would say nothing new and is dropped; no other message ever is.
DOORBELL_HEADER: Final = "doorbell"
MAX_DOORBELLS: Final = 64
BUSY_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 0.5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message
    (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, doorbell INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS message_queue ON message (queue, id);
CREATE INDEX IF NOT EXISTS message_doorbell ON message (queue) WHERE doorbell;
"""
_PUT = "INSERT INTO message (queue, doorbell, body) VALUES (?, 0, ?)"
_PUT_DOORBELL = """
INSERT INTO message (queue, doorbell, body) SELECT ?1, 1, ?2
WHERE (SELECT count(*) FROM message WHERE queue = ?1 AND doorbell) < ?3
"""
_GET = "DELETE FROM message WHERE id = (SELECT min(id) FROM message WHERE queue = ?) RETURNING body"
# Only reads, as an idle poll must not take the write lock. json_each keeps the order of its list.
_FIRST_FILLED = """
SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM message WHERE queue = value) LIMIT 1
"""

_dumps: Callable[[object], str] = json.dumps
_loads: Callable[[str], dict[str, Any]] = json.loads

# One connection per file and process, used under the lock. Closed before every fork: SQLite remembers in the
# process which locks it holds, and a child that inherited that would trust in locks that are its parent's.
# The lock can be taken twice, as garbage collection in the middle of a statement may put messages back.
_lock = threading.RLock()
_connections: dict[Path, tuple[sqlite3.Connection, int | None]] = {}


def broker_url(path: Path) -> str:
    """The Celery `broker_url` of the embedded broker in the file `path`; a relative path is made absolute."""
    return f"hindcast+sqlite:///{quote(str(path.absolute()))}"


def _execute(path: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with _lock:
        if path in _connections and _inode(path) != _connections[path][1]:
            _close(path)  # Somebody removed the file. On the removed one we would hear nobody until a restart.
        if path not in _connections:
            _connections[path] = _open(path), _inode(path)
        # All rows at once: the statement commits when its last row is read, not before.
        return _connections[path][0].execute(statement, values).fetchall()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _open(path: Path) -> sqlite3.Connection:
    try:
        if not path.exists():
            _create(path)
    except OSError as error:  # What SQLite would raise, and what kombu takes for a broker that is away.
        raise sqlite3.OperationalError(f"{path}: {error.strerror}") from error
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Never waits for the disk at a commit, and unlike OFF cannot leave a broken file after a power cut.
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA journal_mode").fetchall() != [("wal",)]:
            _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    with _guard(path):
        if not path.exists():  # The log of a removed file would be taken for the log of the new one.
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            path.touch()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with _guard(path):  # Switching to WAL while others switch or write can fail: "database is locked".
        connection.executescript(_SCHEMA)
        connection.execute("PRAGMA journal_mode = WAL")


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _close(*paths: Path) -> None:
    with _lock:
        for path in paths or tuple(_connections):
            if opened := _connections.pop(path, None):
                opened[0].close()


def _before_fork() -> None:
    _lock.acquire()
    _close()


os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)
atexit.register(_close)


class QoS(virtual.QoS):
    def __init__(self, channel: Any, prefetch_count: int = 0) -> None:
        super().__init__(channel, prefetch_count)  # type: ignore[no-untyped-call]
        self.acknowledged = threading.Event()

    def ack(self, delivery_tag: str) -> None:
        super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        self.acknowledged.set()


class Channel(virtual.Channel):
    """Queues are values of a column: one exists as soon as it is named."""

    QoS = QoS

    def drain_events(self, timeout: float | None = None, callback: Callable[..., object] | None = None) -> None:
        # When enough is prefetched, kombu sleeps for a polling interval: at most 100 short tasks a second.
        self.qos.acknowledged.clear()
        if not self.qos.can_consume():
            self.qos.acknowledged.wait(Transport.polling_interval)
        super().drain_events(timeout, callback)  # type: ignore[no-untyped-call]

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return _execute(self.connection.path, statement, *values)

    def _put(self, queue: str, message: dict[str, Any], **_: object) -> None:
        if message["headers"].get(DOORBELL_HEADER):
            self._run(_PUT_DOORBELL, queue, _dumps(message), MAX_DOORBELLS)
        else:
            self._run(_PUT, queue, _dumps(message))

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        for (body,) in self._run(_GET, queue):
            return _loads(body)
        raise Empty

    def _poll(self, cycle: object, callback: Callable[..., object], timeout: float | None = None) -> None:
        """Delivers one message or raises Empty, with one query for all queues (kombu makes one for each)."""
        queues = self._active_queues
        while filled := self._run(_FIRST_FILLED, _dumps(queues)):
            queue = filled[0][0]
            queues.append(queues.pop(queues.index(queue)))
            try:
                message = self._get(queue)
            except Empty:  # Another consumer was faster.
                continue
            callback(message, queue)
            return
        raise Empty

    def _size(self, queue: str) -> int:
        return int(self._run("SELECT count(*) FROM message WHERE queue = ?", queue)[0][0])

    def _purge(self, queue: str) -> int:
        return len(self._run("DELETE FROM message WHERE queue = ? RETURNING id", queue))


class Transport(virtual.Transport):
    Channel = Channel

    can_parse_url = True
    polling_interval = 0.025
    connection_errors = (*virtual.Transport.connection_errors, sqlite3.OperationalError)  # type: ignore[assignment]
    channel_errors = (*virtual.Transport.channel_errors, sqlite3.OperationalError)  # type: ignore[assignment]
    driver_type = driver_name = "sqlite"

    def __init__(self, client: Any, **options: object) -> None:
        super().__init__(client, **options)  # type: ignore[no-untyped-call]
        scheme, _, path = client.hostname.partition(":///")
        self.path = Path(unquote(path))
        if scheme != "sqlite" or not self.path.is_absolute():
            raise ValueError(
                f"The broker URL must be hindcast+sqlite:////absolute/path, not hindcast+{client.hostname}"
            )

    def establish_connection(self) -> "Transport":
        _execute(self.path, "SELECT 1")  # A file that cannot be opened shows here, where kombu waits and retries.
        super().establish_connection()  # type: ignore[no-untyped-call]
        return self

    def close_connection(self, connection: object) -> None:
        super().close_connection(connection)  # type: ignore[no-untyped-call]
        _close(self.path)  # Whoever else in this process uses the file opens it again.

    def drain_events(  # type: ignore[override]
        self, connection: object, timeout: float | None = None
    ) -> None:
        # A worker notices SIGTERM between two of these calls, asks for 2 s in each and makes one more at the end:
        # without this bound it would take 4 s to stop.
        bounded = timeout and min(timeout, DRAIN_SECONDS)
        super().drain_events(connection, timeout=bounded)  # type: ignore[no-untyped-call]


TRANSPORT_ALIASES["hindcast"] = f"{__name__}:Transport"
