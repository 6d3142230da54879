"""`make run` from a fresh clone, without an environment and with one: time to the first page, and idle memory.

    python bench/startup.py [--rounds 5] [--idle-seconds 10]

The first start makes the environment, without pip's cache; the database and the static files are made, too.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from scratch import ROOT, django_on_scratch, machine, table

PATIENCE = 180.0


class Site:
    """`make run` in a fresh clone, in a session of its own, as at a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fresh"
        self.log = folder / "make.log"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        subprocess.run(["git", "clone", "--quiet", ROOT, self.folder], check=True)

    def start(self, **environment: str) -> float:
        """Seconds from the command to the first page."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HINDCAST_", "MAKE"))}
        for name in ("DATABASE_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE", "VENV", "MFLAGS"):
            inherited.pop(name, None)
        started = time.perf_counter()
        with self.log.open("wb") as log:
            self.make = subprocess.Popen(
                ["make", "run", f"PORT={self.port}"],
                cwd=self.folder,
                env=inherited | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self.page():
            if self.make.poll() is not None or time.perf_counter() - started > PATIENCE:
                raise SystemExit(f"No page after {time.perf_counter() - started:.0f} s:\n{self.said}")
            time.sleep(0.01)
        return time.perf_counter() - started

    def page(self) -> str:
        """The page at `/`, where somebody who is not signed in is sent to; empty until there is one."""
        try:
            with urllib.request.urlopen(self.address, timeout=10) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""

    @property
    def said(self) -> str:
        return self.log.read_text()

    def installed_at(self) -> float:
        return (self.folder / ".venv" / ".installed").stat().st_mtime

    def pids(self) -> list[int]:
        """Every process of the session: make, the supervisor, and what it started."""
        stats = [(int(path.parent.name), read(path)) for path in Path("/proc").glob("[0-9]*/stat")]
        return [pid for pid, stat in stats if stat.rpartition(") ")[2].split()[3:4] == [str(self.make.pid)]]

    def memory(self) -> int:
        """PSS of all of them, in kB."""
        rollups = "".join(read(Path(f"/proc/{pid}/smaps_rollup")) for pid in self.pids())
        return sum(int(size) for size in re.findall(r"^Pss: +(\d+) kB", rollups, re.MULTILINE))

    def stop(self) -> float:
        """Ctrl-C. Seconds until no process is left."""
        started = time.perf_counter()
        os.killpg(self.make.pid, signal.SIGINT)
        while left := [pid for pid in self.pids() if pid != self.make.pid or self.make.poll() is None]:
            if time.perf_counter() - started > 15:
                raise SystemExit(f"Still there after Ctrl-C: {left}\n{self.said}")
            time.sleep(0.02)
        return time.perf_counter() - started


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-seconds", type=float, default=10)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hindcast-startup-"))
    try:
        site = Site(folder)
        began = time.time()
        cold = site.start(PIP_NO_CACHE_DIR="1")
        installing = site.installed_at() - began
        endings = [site.stop()]
        installed, memory = [], []
        for _ in range(options.rounds):
            installed.append(site.start())
            time.sleep(options.idle_seconds)
            memory.append(site.memory())
            endings.append(site.stop())
        size = sum(path.stat().st_size for path in (site.folder / ".venv").rglob("*") if not path.is_symlink())
    finally:
        shutil.rmtree(folder)
    django_on_scratch("startup", database="")  # for the line about the machine: the start has its own
    print(machine())
    print(
        table(
            [
                ("make run, nothing there, to the first page", f"{cold:.1f} s", "", "90 s"),
                ("  of it: making the environment", f"{installing:.1f} s", "", ""),
                ("make run, installed, to the first page", f"{statistics.median(installed):.2f} s", "4 s", "10 s"),
                ("Ctrl-C to no process left", f"{statistics.median(endings):.2f} s", "", "10 s"),
                (
                    "idle memory of all processes (PSS)",
                    f"{statistics.median(memory) / 1000:.0f} MB",
                    "250 MB",
                    "350 MB",
                ),
                ("installed size", f"{size / 1e6:.0f} MB", "150 MB", "300 MB"),
            ]
        )
    )


if __name__ == "__main__":
    main()
