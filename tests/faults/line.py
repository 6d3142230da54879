"""A TCP line between a program and its server that a test breaks at will."""

import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

LOOK_SECONDS = 0.02
CHUNK_BYTES = 64 * 1024


@dataclass
class _Pair:
    """Both ends of one connection, and what is under way between them: when to deliver it, to whom, and what."""

    client: socket.socket
    server: socket.socket
    silent: bool = False
    under_way: deque[tuple[float, socket.socket, bytes]] = field(default_factory=deque)

    def other(self, end: socket.socket) -> socket.socket:
        return self.server if end is self.client else self.client

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Line:
    """Forwards `port` on this machine to `server`, each chunk after `delay` seconds.

    `swallow()`: what is sent from now on arrives nowhere, on old connections and on new ones, which are still
    accepted: to either end the other is silent. `swallow_old()`: the same for those that are open, as when a firewall
    has forgotten them. `cut()`: every connection is closed and new ones are closed at once. `heal()` ends all of that
    for new connections; those that were swallowed stay silent, as what they carried is lost.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self.delay = 0.0
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[_Pair] = []
        self._silent = self._cut = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)
        self._thread.start()

    def swallow(self) -> None:
        self._silent = True
        self.swallow_old()

    def swallow_old(self) -> None:
        for pair in tuple(self._pairs):
            pair.silent = True
            pair.under_way.clear()

    def cut(self) -> None:
        self._cut = True

    def heal(self) -> None:
        self._silent = self._cut = False

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()
        self._close_all()

    # --- what the thread does: it alone opens and closes ---------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            if self._cut:
                self._close_all()
            self._deliver()
            pairs = {end: pair for pair in self._pairs for end in (pair.client, pair.server)}
            due = [pair.under_way[0][0] for pair in self._pairs if pair.under_way]
            wait = max(0.0, min([LOOK_SECONDS, *(at - time.monotonic() for at in due)]))
            ready, _, _ = select.select([self._listener, *pairs], [], [], wait)
            for end in ready:
                if end is self._listener:
                    self._accept()
                elif pairs[end] in self._pairs:
                    self._read(pairs[end], end)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append(_Pair(client, server, silent=self._silent))

    def _read(self, pair: _Pair, end: socket.socket) -> None:
        try:
            data = end.recv(CHUNK_BYTES)
        except OSError:
            data = b""
        if not data:
            self._forget(pair)
        elif not pair.silent:
            pair.under_way.append((time.monotonic() + self.delay, pair.other(end), data))

    def _deliver(self) -> None:
        for pair in tuple(self._pairs):
            while pair.under_way and pair.under_way[0][0] <= time.monotonic():
                _, end, data = pair.under_way.popleft()
                try:
                    end.sendall(data)
                except OSError:
                    self._forget(pair)
                    break

    def _forget(self, pair: _Pair) -> None:
        self._pairs.remove(pair)
        pair.close()

    def _close_all(self) -> None:
        while self._pairs:
            self._pairs.pop().close()
