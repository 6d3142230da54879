"""The processes of a soak: two webs, two beats, three workers, and what breaks them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
import scratch
from kombu import Connection

LANES = "scheduled,manual,backfill,celery"
QUIET = ("--without-mingle", "--without-gossip", "--without-heartbeat")
SLOTS = 4
END_SECONDS = 20.0
START_SECONDS = 60.0
LOOK_SECONDS = 0.05
SLEEPERS_SECONDS = 0.5
# Where a process that is started again may end as by a power cut, or sleep for a while, by what it is.
CRASH_POINTS = {
    "beat": ["ticker.after_lock", "ticker.after_session", "ticker.after_attempt", "ticker.before_commit"],
    "web": ["backfill.before_commit", "dispatch.before_send"],
    "worker": ["attempts.after_claim", "attempts.before_finish", "journal.after_finish", "child.before_watch"],
}
CRASHES = 0.25
SLEEPS = 0.5  # of the crashes
WEIGHTS = {"kill": 4, "kill one": 3, "term": 4, "stop": 4, "cut": 2, "purge": 2}


@dataclass
class Place:
    """Where one process runs, time after time, in a group of its own."""

    name: str
    kind: str
    command: list[str]
    log: Path
    address: str = ""
    can_crash: bool = True
    process: "subprocess.Popen[bytes] | None" = None
    due_at: float | None = 0.0
    """When it is to start; None while it runs."""
    end_by: float | None = None
    """It was asked to end, and has to by then."""
    stopped: bool = False
    crash_at: str = ""
    crash_by: str = "SIGKILL"
    may_sleep: bool = False
    again_in: float | None = None
    """It is about to end, and starts again so many seconds later."""

    @property
    def runs(self) -> bool:
        """It can be broken: it is there, and nothing is under way with it."""
        return self.process is not None and self.again_in is None and not self.stopped

    @property
    def ready(self) -> Path:
        return self.log.with_suffix(".ready")


@dataclass
class House:
    """All processes. `look` is called again and again by one thread; it starts and restarts them."""

    folder: Path
    environment: Mapping[str, str]
    random: Random
    broken: Counter[str] = field(default_factory=Counter)
    """What was done to whom, how often."""
    findings: list[str] = field(default_factory=list)
    """Processes that ended by themselves, or would not end."""
    orphans: list[int] = field(default_factory=list)
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    sleepers_at: float = 0.0

    def __post_init__(self) -> None:
        self.places = [
            *(self._web(number) for number in (1, 2)),
            *(self._place("beat", number, ["celery", "-A", "scheduler", "beat", "--pidfile="]) for number in (1, 2)),
            *(self._worker(number, "threads") for number in (1, 2)),
            self._worker(3, "prefork"),
        ]
        self.places[-1].can_crash = False  # each new process of its pool would crash at the same point

    def _web(self, number: int) -> Place:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        options = f"--worker-class gthread --threads 8 --workers 2 --bind 127.0.0.1:{port} --no-control-socket"
        place = self._place("web", number, ["gunicorn", "scheduler.wsgi", *options.split()])
        place.address = f"127.0.0.1:{port}"
        return place

    def _worker(self, number: int, pool: str) -> Place:
        options = f"--pool {pool} -c {SLOTS} -Q {LANES} -l WARNING".split()
        return self._place("worker", number, ["celery", "-A", "scheduler", "worker", *options, *QUIET])

    def _place(self, kind: str, number: int, command: list[str]) -> Place:
        name = f"{kind}{number}"
        return Place(name, kind, [sys.executable, "-m", *command], self.folder / f"{name}.log")

    @property
    def addresses(self) -> list[str]:
        return [place.address for place in self.places if place.address]

    # --- running ------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Start what is due, notice what ended, do what was put off."""
        now = time.monotonic()
        for place in self.places:
            if place.process is not None and place.process.poll() is not None:
                self._ended(place, now)
            elif place.end_by is not None and now > place.end_by:
                self.findings.append(f"{place.name} did not end within {END_SECONDS:g} s of SIGTERM")
                place.end_by = None
                group(place.process.pid, signal.SIGKILL) if place.process else None
            if place.due_at is not None and now >= place.due_at:
                self._start(place)
        if now >= self.sleepers_at:
            self.sleepers_at = now + SLEEPERS_SECONDS
            self._wake_sleepers()
        due, self.later = [one for one in self.later if one[0] <= now], [one for one in self.later if one[0] > now]
        for _, action in due:
            action()

    def _start(self, place: Place) -> None:
        place.ready.unlink(missing_ok=True)
        crash = {"HINDCAST_CRASH_AT": place.crash_at, "HINDCAST_CRASH_BY": place.crash_by} if place.crash_at else {}
        told = {**self.environment, "HINDCAST_TEST_READY": str(place.ready), **crash}
        with place.log.open("ab") as log:
            place.process = subprocess.Popen(
                place.command, cwd=scratch.ROOT, env=told, stdout=log, stderr=log, start_new_session=True
            )
        place.due_at, place.end_by, place.again_in, place.stopped = None, None, None, False
        place.may_sleep = bool(crash) and place.crash_by == "SIGSTOP"

    def _ended(self, place: Place, now: float) -> None:
        assert place.process
        status = place.process.returncode
        if place.again_in is None:
            self.broken[f"{place.kind} ended by itself, {status}"] += 1
            if status != -signal.SIGKILL:  # a crash point, or a task that killed its worker
                self.findings.append(f"{place.name} ended by itself with {status}")
            place.crash_at = ""
        if place.address:  # as a service manager does: what is left of it has the port
            group(place.process.pid, signal.SIGKILL)
        if alive(place.process.pid):
            self.orphans.append(place.process.pid)
        place.process, place.end_by, place.stopped = None, None, False
        place.due_at = now + (0.5 if place.again_in is None else place.again_in)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """False: it did not come true in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self.look()
            time.sleep(LOOK_SECONDS)
        return True

    def start(self) -> None:
        """All of them, ready to work."""
        self.look()
        if not self.wait_until(self._all_ready, START_SECONDS):
            raise SystemExit(f"not all processes started; their logs are in {self.folder}")

    def _all_ready(self) -> bool:
        return all(
            listens(place.address) if place.address else place.ready.exists() for place in self.places if place.process
        ) and all(place.process for place in self.places)

    def settle(self) -> None:
        """No more chaos: everything runs, without crash points."""
        self.later, waiting = [], self.later
        for _, action in waiting:
            action()
        for place in self.places:
            if place.crash_at and place.runs:
                self._term(place, again_in=0.0)
            place.crash_at, place.can_crash = "", False
        self.wait_until(lambda: all(place.runs for place in self.places), END_SECONDS + 1)
        self.start()

    def end(self) -> None:
        """End every process that was ever started, by its id."""
        for place in self.places:
            if place.process is not None and place.process.poll() is None:
                group(place.process.pid, signal.SIGCONT)
                place.process.terminate()
        for place in self.places:
            if place.process is not None:
                with suppress(subprocess.TimeoutExpired):
                    place.process.wait(END_SECONDS)
                group(place.process.pid, signal.SIGKILL)
                place.process.wait()
        for leader in self.orphans:
            group(leader, signal.SIGKILL)

    # --- breaking -----------------------------------------------------------------------------------------

    def break_something(self) -> None:
        """One random thing."""
        (what,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if what == "cut":
            self.broken["all connections of the database cut"] += 1
            return cut()
        if what == "purge":
            self.broken["queues purged"] += 1
            return purge(self.environment)
        running = [place for place in self.places if place.runs]
        if not running:
            return None
        place = self.random.choice(running)
        again_in = self.random.uniform(0, 3)
        self.broken[f"{what} {place.kind}"] += 1
        match what:
            case "kill":
                self._kill(place, again_in=again_in)
            case "kill one":
                self._kill_one(place, again_in=again_in)
            case "term":
                self._term(place, again_in=again_in)
            case "stop":
                self._stop(place, seconds=self.random.uniform(1, 6))
        return None

    def _kill(self, place: Place, *, again_in: float) -> None:
        assert place.process
        self._again(place, again_in)
        group(place.process.pid, signal.SIGKILL)

    def _kill_one(self, place: Place, *, again_in: float) -> None:
        """One process of the group: the leader alone, as the kernel does that is short of memory, or a child."""
        assert place.process
        victim = self.random.choice(sorted(pid for pid, _ in members(place.process.pid)) or [place.process.pid])
        if victim == place.process.pid:
            self._again(place, again_in)
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)

    def _term(self, place: Place, *, again_in: float) -> None:
        assert place.process
        self._again(place, again_in)
        place.end_by = time.monotonic() + END_SECONDS
        place.process.terminate()

    def _again(self, place: Place, again_in: float) -> None:
        """Once it has ended, it starts again, now and then to end at a crash point."""
        place.again_in, place.crash_at = again_in, ""
        if place.can_crash and self.random.random() < CRASHES:
            place.crash_at = f"{self.random.choice(CRASH_POINTS[place.kind])}:{self.random.randint(1, 8)}"
            place.crash_by = "SIGSTOP" if self.random.random() < SLEEPS else "SIGKILL"

    def _stop(self, place: Place, *, seconds: float) -> None:
        assert place.process
        group(place.process.pid, signal.SIGSTOP)
        self._wake_later(place, seconds)

    def _wake_sleepers(self) -> None:
        """Those that came to their crash point."""
        for place in self.places:
            if place.process is None or place.stopped or not place.may_sleep:
                continue
            if any(state == "T" for _, state in members(place.process.pid)):
                self.broken[f"{place.kind} slept at a crash point"] += 1
                self._wake_later(place, self.random.uniform(1, 6))

    def _wake_later(self, place: Place, seconds: float) -> None:
        assert place.process
        leader = place.process.pid
        place.stopped = True

        def go_on() -> None:
            group(leader, signal.SIGCONT)
            place.stopped = False

        self.later.append((time.monotonic() + seconds, go_on))


def group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def alive(leader: int) -> bool:
    """Somebody of the group of this leader is left."""
    return any(True for _ in members(leader))


def members(leader: int) -> Iterator[tuple[int, str]]:
    """Process id and state (`R`, `S`, `T`, …) of those in its group that have not ended."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == leader and state != "Z":
                yield int(stat.parent.name), state


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def cut() -> None:
    """End every connection of this database, as a restart of the server would."""
    name = os.environ["DATABASE_URL"].rpartition("/")[2]
    with psycopg.connect(f"{scratch.SERVER}/postgres", autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def purge(environment: Mapping[str, str]) -> None:
    for queue in queues(environment):
        queue.purge()


def queues(environment: Mapping[str, str]) -> Iterator[object]:
    """The queues of this run, each bound to a channel and declared."""
    from tests.own_queues import own_queues

    with Connection(environment["BROKER_URL"]) as broker:
        for queue in own_queues(environment):
            bound = queue(broker.default_channel)
            bound.declare()
            yield bound
