"""A child of ours that is told over a socket what to do, and answers there; nobody else can open a socket.

What it is told holds secrets: it first makes its memory its own, says so with a byte, and is told then.
"""

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from scheduler.execution.operators.base import Context


def told(
    task: Context,
    program: Sequence[str],
    request: bytes,
    *,
    env: Mapping[str, str],
    most_bytes: int,
    timeout: float | None = None,
) -> tuple[int, bytes]:
    """The exit code of a program, which gets the number of its socket as its last argument, and its answer.

    Of an answer that is longer than `most_bytes` there is a part that is longer, too. Raises what `spawn` raises.
    """
    ours, theirs = socket.socketpair()
    heard = bytearray()
    talk = threading.Thread(target=_talk, args=(ours, request, heard, most_bytes), daemon=True)
    try:
        talk.start()
        arguments = [*program, str(theirs.fileno())]
        code = task.spawn('exec "$0" "$@"', arguments, env=env, pass_fds=[theirs.fileno()], timeout=timeout)
    finally:
        theirs.close()
        ours.shutdown(socket.SHUT_RDWR)  # what it sent can be read still; a process that it left behind is not heard
        talk.join()
        ours.close()
    return code, bytes(heard)


def _talk(line: socket.socket, request: bytes, heard: bytearray, most_bytes: int) -> None:
    with suppress(OSError):  # it ended
        if line.recv(1):
            line.sendall(request)
            line.shutdown(socket.SHUT_WR)
        while piece := line.recv(65536):
            if len(heard) <= most_bytes:
                heard += piece
