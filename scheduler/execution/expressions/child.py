"""The child that evaluates expressions: a request on each line that comes in, an answer on each that goes out.

A request is the seconds that it may take, a space, and what realm.js asks for; an answer the seconds it took, a space,
and what realm.js says. Its arguments are where Python finds zones. Needs nothing of Hindcast. It ends when its input
does, or after a while without any.

Its limits kill it: processor time (ITIMER_PROF), V8's heap, and RLIMIT_DATA for what V8 keeps beside the heap.
RLIMIT_AS cannot serve: V8 reserves more than a terabyte of addresses.
"""

import json
import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, reset_tzpath

from py_mini_racer import JSEvalException, JSParseException, MiniRacer, init_mini_racer

HEAP_MEGABYTES = 64
ROOM_MEGABYTES = 112  # for the heap, and what an expression takes beside it
IDLE_SECONDS = 60.0
# No compiler that makes machine code out of an expression; an interpreter is quick enough, and simpler to trust.
FLAGS = ("--single-threaded", "--jitless", f"--max-heap-size={HEAP_MEGABYTES}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND, LAST_SECOND = -2208988800, 4102444800  # the years 1900 to 2100
STEP_SECONDS = 3 * 24 * 3600  # no zone changes twice within so short a time
POSITION = re.compile(r"<anonymous>:(\d+): (.*)\n(.*)\n( *)\^")


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # V8 prints what it dies of
    reset_tzpath(sys.argv[1:])
    realm = Realm()
    limit()
    requests = sys.stdin.buffer
    while select.select([requests], [], [], IDLE_SECONDS)[0]:
        line = requests.readline()
        if not line.endswith(b"\n"):
            break
        answers.write(answered(realm, line.decode()))
    os._exit(0)


def limit() -> None:
    """No core files, little memory, and signals that do what they do by default, but for those meant for the worker."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (taken + ROOM_MEGABYTES * 1024 * 1024,) * 2)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def answered(realm: "Realm", line: str) -> bytes:
    seconds, _, request = line.partition(" ")
    before = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, max(float(seconds), 0.001))
    answer = realm.evaluate(request.rstrip("\n"))
    realm.finish()
    signal.setitimer(signal.ITIMER_PROF, 0)
    return f"{time.process_time() - before:.4f} {answer}\n".encode()


class Realm:
    def __init__(self) -> None:
        init_mini_racer(flags=FLAGS)
        self._engine = MiniRacer()
        folder = Path(__file__).parent
        realm, moment, dates = ((folder / f"{name}.js").read_text().strip() for name in ("realm", "moment", "dates"))
        self._engine.eval(
            f"const __evaluate = ((zones, missing) => {realm}({moment}({dates}(zones, missing)), zones, missing))"
            "(new Map(), new Set()); 0"
        )

    def evaluate(self, request: str) -> str:
        try:
            answer, said = self._asked(request, {})
            while "zones" in said:
                answer, said = self._asked(request, {name: offsets(name) for name in said["zones"]})
        except JSEvalException:  # it left no stack even to say so
            return json.dumps({"error": "It went too deep."})
        if "syntax" not in said:
            return answer
        said["syntax"] += self._position(json.loads(request)["expression"])
        return json.dumps(said)

    def _asked(self, request: str, zones: Mapping[str, object]) -> tuple[str, dict[str, Any]]:
        answer = str(self._engine.eval(f"__evaluate({json.dumps(request)}, {json.dumps(list(zones.items()))})"))
        return answer, json.loads(answer)

    def finish(self) -> None:
        """Wait for what an async function left to do: it would take the next expression's time."""
        self._engine.eval("0")

    def _position(self, expression: str) -> str:
        """Where the mistake is, which `Function` does not tell. The last line keeps this text from ever running."""
        try:
            self._engine.eval(f"(\n{expression}\n)\n#")
        except JSParseException as error:
            found = POSITION.search(str(error))
            line = int(found[1]) - 1 if found else 0
            if found and 1 <= line <= expression.count("\n") + 1:
                return f" (line {line}, column {len(found[4]) + 1})"
        return " (at its end)"


def offsets(name: str) -> list[tuple[int, int]] | None:
    """What realm.js wants to know of a zone: seconds since 1970, and the minutes from UTC since then.

    Out of Python's own data, as the timetable has them: V8's are of its release, and zones change more often.
    """
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
    found = [(FIRST_SECOND, _minutes(zone, FIRST_SECOND))]
    second = FIRST_SECOND
    while second < LAST_SECOND:
        if _minutes(zone, second + STEP_SECONDS) != found[-1][1]:
            change = _first_after(zone, second, found[-1][1])
            found.append((change, _minutes(zone, change)))
            second = change
        else:
            second += STEP_SECONDS
    return found


def _first_after(zone: ZoneInfo, second: int, before: int) -> int:
    """When the offset `before` ends, within a step."""
    low, high = second, second + STEP_SECONDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _minutes(zone, middle) == before else (low, middle)
    return high


def _minutes(zone: ZoneInfo, second: int) -> int:
    offset = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 60)


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(1)  # mini-racer may hang as it tidies up
