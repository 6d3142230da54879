"""The child that goes outside: an exchange over HTTP, or a mail. A process of its own can be ended at any moment.

Its argument is the number of a socket: it says there that it is ready, reads what to do, and leaves the answer. What
it is told holds secrets: it makes its memory its own before it asks for them. Nothing of the project's files is
imported, although it starts in their folder.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import sys
from typing import Any

MEMORY_BYTES = 512 * 1024 * 1024
PR_SET_DUMPABLE = 4


class TooLong(BaseException):
    """The time is over. No `except Exception` of a library may take it for one of its own."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
    with socket.socket(fileno=int(sys.argv[1])) as line:
        line.sendall(b"\n")
        with line.makefile("rb") as told:
            asked = json.loads(told.readline())
            said = answered(asked, told.read())
        line.sendall(json.dumps(said).encode())
    sys.stderr.flush()
    os._exit(0)  # a look-up that hangs must not hold it


def answered(asked: dict[str, Any], body: bytes) -> dict[str, Any]:
    """`kind` names the module that does it, `path` says where Python finds it, `seconds` how long it may take."""
    sys.path[:] = asked["path"]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    places, connecting, errand = (
        importlib.import_module(f"scheduler.execution.outside.{name}")
        for name in ("places", "connecting", asked["kind"])
    )
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, asked["seconds"], 1.0)
    try:
        said: dict[str, Any] = errand.answer(asked, body)
    except places.Refused as refusal:
        said = {"refusal": str(refusal)}
    except connecting.Away as away:
        said = {"away": str(away)}
    except TooLong:
        said = {"away": f"It took longer than {asked['seconds']:g} s."}
    except MemoryError:
        said = {"refusal": "The answer takes too much memory."}
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    return said


def end(*_: object) -> None:
    raise TooLong


if __name__ == "__main__":
    main()
