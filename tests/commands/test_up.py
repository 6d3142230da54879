"""`manage.py up`: web, worker and beat under one supervisor, as real processes."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

RUNS_ON = b"sleep\0" + b"61.25\0"
RUN_ON = """
import django
django.setup()
from datetime import UTC, datetime, timedelta
from projects.revisions import publish
from scheduler.backfill import backfill
from scheduler.schedules import adopt
now = datetime.now(UTC)
document = {"schedule": {"hourly>": "00:00"}, "+run_on": {"sh>": "exec sleep 61.25"}}
(schedule,) = adopt(publish(project_name="long", revision_name="r1", documents={"w": document}, now=now), now=now)
backfill(
    schedule_id=schedule.pk, attempt_name="a", from_time=now - timedelta(hours=2), count=1, dry_run=False, now=now
)
"""


class Site:
    """One `up` with files of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "up.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.python("manage.py", *arguments)

    def python(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HINDCAST_")}
        environment |= {
            "DJANGO_SETTINGS_MODULE": "scheduler.settings",
            "HINDCAST_VAR": str(self.folder / "var"),
            "DATABASE_URL": "",
            "BROKER_URL": "",
            "HINDCAST_PLAIN_LOGS": "1",
        }
        with self.log.open("ab") as log:
            return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log)

    def start(self, *arguments: str) -> "Site":
        self.process = self.manage("up", "--demo", "--port", str(self.port), *arguments)
        wait_until(lambda: "is ready" in self.said or self.process.poll() is not None, READY_SECONDS)  # type: ignore[union-attr]
        assert self.process.poll() is None, self.said
        return self

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def pids(self) -> list[int]:
        """Every process of this site, the supervisor first: each has its command line, with the port."""
        return [pid for pid in all_pids() if str(self.port).encode() in read(pid, "cmdline").split(b"\0")]

    def child(self, name: str) -> int:
        """The process that the supervisor started in the place of `name`: web, worker, beat, in this order."""
        assert self.process is not None
        mine = [pid for pid in self.pids if parent_of(pid) == self.process.pid]
        return mine[("web", "worker", "beat").index(name)]

    def kill_all(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(30)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.kill_all()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def all_pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def parent_of(pid: int) -> int:
    fields = read(pid, "stat").rpartition(b") ")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def test_one_command_gives_a_site_with_a_backfill_to_try_and_ctrl_c_ends_all_of_it(site: Site) -> None:
    site.start()

    line = next(line for line in site.said.splitlines() if line.startswith("curl "))
    url, key, body = re.fullmatch(
        r"curl -X POST (\S+) -H 'Authorization: (TD1 \S+)' -H 'Content-Type: application/json' -d '(.*)'", line
    ).groups()  # type: ignore[union-attr]
    request = urllib.request.Request(
        url, json.dumps(json.loads(body) | {"dryRun": False}).encode(), {"Authorization": key}
    )
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=20) as answer:
        asked = [attempt["id"] for attempt in json.load(answer)["attempts"]]

    def is_success(attempt_id: str) -> bool:
        one = urllib.request.Request(
            f"http://127.0.0.1:{site.port}/api/attempts/{attempt_id}", headers={"Authorization": key}
        )
        with urllib.request.urlopen(one, timeout=20) as answer:
            return bool(json.load(answer)["success"])

    assert len(asked) == 7
    wait_until(lambda: all(map(is_success, asked)), 40)
    assert oct((site.folder / "var" / "welcome.json").stat().st_mode)[-3:] == "600"
    assert site.process is not None
    site.process.send_signal(signal.SIGINT)
    assert site.process.wait(30) == 0
    wait_until(lambda: not site.pids, 10)


def test_a_second_start_says_the_same_password_and_key(site: Site) -> None:
    def greeting() -> list[str]:
        site.log.unlink(missing_ok=True)
        site.start()
        assert site.process is not None
        site.process.send_signal(signal.SIGTERM)
        assert site.process.wait(30) == 0
        return [line for line in site.said.splitlines() if line.startswith(("  Sign in", "  API key"))]

    first = greeting()

    assert len(first) == 2
    assert greeting() == first


def test_a_program_that_was_killed_is_named_and_comes_back(site: Site) -> None:
    site.start()
    killed = site.child("worker")

    os.kill(killed, signal.SIGKILL)

    wait_until(lambda: "worker was ended by SIGKILL. It starts again in 0.2 s." in site.said, 20)
    wait_until(lambda: site.said.count("ready.") == 2, 20)
    assert killed not in site.pids


def test_no_program_outlives_a_supervisor_that_was_killed(site: Site) -> None:
    site.start()
    assert site.process is not None

    site.process.kill()

    site.process.wait(30)
    wait_until(lambda: not site.pids, 30)


def test_with_parent_it_ends_when_the_process_that_started_it_ends(site: Site) -> None:
    starts_it = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"
    between = site.python("-c", starts_it, "manage.py", "up", "--demo", "--with-parent", "--port", str(site.port))
    wait_until(lambda: "is ready" in site.said, READY_SECONDS)

    between.kill()

    between.wait(30)
    wait_until(lambda: not site.pids, 30)


def test_ctrl_c_gives_back_an_attempt_that_runs_on_and_on(site: Site) -> None:
    site.start()
    assert site.python("-c", RUN_ON).wait(30) == 0
    wait_until(lambda: [pid for pid in all_pids() if read(pid, "cmdline") == RUNS_ON], 20)

    assert site.process is not None
    site.process.send_signal(signal.SIGINT)

    assert site.process.wait(30) == 0
    wait_until(lambda: not [pid for pid in all_pids() if read(pid, "cmdline") == RUNS_ON], 10)
    with sqlite3.connect(site.folder / "var" / "hindcast.sqlite3") as database:
        (status,) = database.execute("SELECT status FROM scheduler_attempt ORDER BY id DESC LIMIT 1").fetchone()
    database.close()
    assert status == "queued"


def test_a_port_that_is_taken_is_said_before_anything_is_made(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        site.process = site.manage("up", "--demo", "--port", str(site.port))
        code = site.process.wait(READY_SECONDS)

    assert code == 1
    assert f"Cannot listen on 127.0.0.1:{site.port} (Address already in use)." in site.said
    assert not (site.folder / "var" / "welcome.json").exists()


def test_a_database_that_is_not_up_to_date_is_refused_without_the_demo(site: Site) -> None:
    site.process = site.manage("up", "--port", str(site.port))
    code = site.process.wait(READY_SECONDS)

    assert code == 1
    assert "Run: python manage.py migrate" in site.said
