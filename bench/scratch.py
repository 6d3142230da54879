"""What the bench programs share: a scratch database, the machine's line, medians.

Call `django_on_scratch("name")` before any import of models: it points DATABASE_URL at a fresh database
(PostgreSQL by default: BENCH_DATABASE_URL, else postgres://postgres@127.0.0.1:5432) and sets Django up.
"""

import atexit
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432")


def django_on_scratch(name: str, *, broker: str | None = None, database: str | None = None) -> str:
    """Make and migrate the scratch database `hindcast_bench_<name>`; returns its URL. Dropped at exit."""
    folder = tempfile.mkdtemp(prefix="hindcast-bench-")
    os.environ.update({"HINDCAST_VAR": folder, "DJANGO_SETTINGS_MODULE": "scheduler.settings"})
    os.environ["BROKER_URL"] = broker or os.environ.get("BENCH_BROKER_URL", "")
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ["DATABASE_URL"] = database if database is not None else _fresh_database(f"hindcast_bench_{name}")
    sys.path.insert(0, str(ROOT))

    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return os.environ["DATABASE_URL"]


def _fresh_database(name: str) -> str:
    import psycopg

    def recreate(*, create: bool) -> None:
        with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            if create:
                server.execute(f"CREATE DATABASE {name}")

    recreate(create=True)
    atexit.register(recreate, create=False)
    return f"{SERVER}/{name}"


def machine() -> str:
    """One line: processor, cores, Python, Django, database."""
    import django
    from django.db import connection

    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version")
        version = cursor.fetchone()[0]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, Django {django.get_version()}, "
        f"{connection.display_name} {version}; load {load}; {_commit()}"
    )


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip() or "no commit"


def median_seconds(action: Callable[[int], object], rounds: int = 5) -> float:
    """Median wall time in seconds of `action(round number)`."""
    return statistics.median(timings(action, rounds))


def timings(action: Callable[[int], object], rounds: int) -> list[float]:
    spent = []
    for number in range(rounds):
        start = time.perf_counter()
        action(number)
        spent.append(time.perf_counter() - start)
    return spent


def table(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """`figure, measured, goal, floor` in columns."""
    head = [("figure", "measured", "goal", "floor"), *rows]
    widths = [max(len(row[column]) for row in head) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in head
    )


@contextmanager
def served(processes: int = 1) -> Iterator[str]:
    """The product under gunicorn on a free port of this machine, 4 threads a process; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "scheduler.wsgi", "--threads", "4", "--workers", str(processes)]
    server = subprocess.Popen([*command, "-b", f"127.0.0.1:{port}", "--log-level", "error"], cwd=ROOT)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def wait_for_port(port: int, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing answers on port {port}")
