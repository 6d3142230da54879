"""What ends the commands of a worker that was killed: a tiny process that hears, through a pipe, when it is gone.

A death signal (PR_SET_PDEATHSIG) would reach the leader of a command's group alone, and not what it started. One
guardian looks after all groups of its worker; telling it of one costs a write of a few bytes.
"""

import atexit
import os
import subprocess
import threading

# Reads `+ group` and `- group` until the other end is closed, by whatever death, then kills what is left.
SCRIPT = """
trap '' TERM INT HUP QUIT
groups=' '
while read -r sign group; do
    case $sign in
        +) groups="$groups$group " ;;
        -) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""


class Guardian:
    """Started with the first group; one per process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: set[int] = set()

    def watch(self, group: int) -> None:
        """Kill this process group when this process dies."""
        with self._lock:
            self._watched.add(group)
            self._tell(f"+ {group}\n")

    def forget(self, group: int) -> None:
        """The group is about to end; its number may soon be another's."""
        with self._lock:
            self._watched.discard(group)
            self._tell(f"- {group}\n")

    def close(self) -> None:
        """This process ends in good order."""
        with self._lock:
            process, self._process = self._process, None
            if process and process.stdin:
                process.stdin.close()
                process.wait()

    def _tell(self, line: str) -> None:
        if self._process is not None:
            try:
                self._write(line)
            except OSError:
                self._process = None  # somebody killed it
            else:
                return
        self._start()
        for group in self._watched:
            self._write(f"+ {group}\n")

    def _start(self) -> None:
        """In a session of its own: what ends our group must not end it first."""
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
            bufsize=0,
        )

    def _write(self, line: str) -> None:
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(line.encode())


guardian = Guardian()


def _forget_parent() -> None:
    """A forked child has its own guardian, and must not keep the pipe of its parent's open."""
    if guardian._process and guardian._process.stdin:
        guardian._process.stdin.close()
    guardian.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget_parent)
atexit.register(guardian.close)
