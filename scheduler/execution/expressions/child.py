"""The child that evaluates expressions: a request on each line that comes in, an answer on each that goes out.

A request is the seconds that it may take, a space, and what realm.js asks for; an answer the seconds it took, a space,
and what realm.js says. Needs nothing of Hindcast. It ends when its input does, or after a while without any.

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
from pathlib import Path

from py_mini_racer import JSEvalException, JSParseException, MiniRacer, init_mini_racer

HEAP_MEGABYTES = 64
ROOM_MEGABYTES = 112  # for the heap, and what an expression takes beside it
IDLE_SECONDS = 60.0
# No compiler that makes machine code out of an expression; an interpreter is quick enough, and simpler to trust.
FLAGS = ("--single-threaded", "--jitless", f"--max-heap-size={HEAP_MEGABYTES}")
POSITION = re.compile(r"<anonymous>:(\d+): (.*)\n(.*)\n( *)\^")


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # V8 prints what it dies of
    realm = Realm()
    limit()
    requests = sys.stdin.buffer
    while select.select([requests], [], [], IDLE_SECONDS)[0]:
        line = requests.readline()
        if not line.endswith(b"\n"):
            break
        answers.write(answered(realm, line.decode()))
    os._exit(0)  # mini-racer may hang as it tidies up


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
        self._engine.eval(f"const __evaluate = ({realm})({moment}({dates})); 0")

    def evaluate(self, request: str) -> str:
        try:
            answer = str(self._engine.eval(f"__evaluate({json.dumps(request)})"))
        except JSEvalException:  # it left no stack even to say so
            return json.dumps({"error": "It went too deep."})
        said = json.loads(answer)
        if "syntax" not in said:
            return answer
        said["syntax"] += self._position(json.loads(request)["expression"])
        return json.dumps(said)

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


if __name__ == "__main__":
    main()
