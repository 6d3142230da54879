"""The child of `celery>` and `manage>`: settles in as a process of the house, and runs what the request names.

Its argument is the number of a socket: it says there that nobody can look into it any more, reads the request, and
leaves the answer. It is started without anything of the house in its environment.
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

PR_SET_DUMPABLE = 4


class Ended(BaseException):
    """SIGTERM came: `finally` still holds."""


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    number = int(sys.argv.pop())
    hide()
    with socket.socket(fileno=number) as line:
        line.set_inheritable(False)
        line.sendall(b"\n")
        with line.makefile("rb") as file:
            request = json.load(file)
        said = answered(request)
        line.sendall(json.dumps(said, allow_nan=False).encode())
    sys.stdout.flush()
    sys.exit(int(said.get("exit_code", 1)) if "error" in said else 0)


def answered(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        settle(request)
        said: dict[str, Any] = importlib.import_module(request["module"]).run(**request["call"])
    except Ended:
        die()
    except Exception as error:  # noqa: BLE001 - whatever happens is the answer
        traceback.print_exc()
        said = {"error": f"{type(error).__name__}: {error}"}
    return said


def settle(request: Mapping[str, Any]) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[:] = request["path"]
    importlib.import_module("django").setup()


def hide() -> None:
    """Others of the same user may look neither into this memory nor at its open files."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def end(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended


def die() -> NoReturn:
    """As the signal would have it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
