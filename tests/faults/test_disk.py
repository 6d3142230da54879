"""Disks that are full: F16 that of SQLite, through real HTTP, F26 that of the workspaces.

The disks are small file systems in memory, which root alone may mount.
"""

import json
import os
import socket
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from projects import archives
from scheduler.models import Attempt, LogChunk
from tests.faults.conftest import PATIENCE
from tests.faults.invariants import Ledger
from tests.faults.test_web import answers, post

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres, pytest.mark.long]

Start = Callable[..., Any]
SINCE = "2026-01-01T00:00:00+00:00"
MEGABYTE = 2**20
COUNTED = "from scheduler.models import Attempt, Session; print(Session.objects.count(), Attempt.objects.count())"
MADE = """
from datetime import UTC, datetime
from django.contrib.auth.models import User
from projects import apikeys
from projects.revisions import publish
from scheduler.schedules import adopt
now = datetime.now(UTC)
document = {"schedule": {"minutes_interval>": 5}, "+a": {"echo>": "x"}}
(schedule,) = adopt(publish(project_name="p", revision_name="r", documents={"wf": document}, now=now), now=now)
user = User.objects.create_superuser("root", password="correct horse")
print(schedule.pk, apikeys.issue(user=user, name="test", now=now)[1])
"""


class Disk:
    """A small file system."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        size = f"size={megabytes}m,mode=0777"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")

    def fill(self) -> None:
        """To the last byte."""
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            for size in (65536, 1):
                with suppress(OSError):  # there is no room left
                    while True:
                        ballast.write(b"x" * size)

    def empty(self) -> None:
        (self.folder / "ballast").unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    """disk(8): one of so many megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    with ExitStack() as mounted:

        def mount(megabytes: int) -> Disk:
            made = Disk(tmp_path / "disk", megabytes)
            mounted.callback(made.unmount)
            return made

        yield mount


class Site:
    """The product with SQLite and the embedded broker in a folder of its own."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "HINDCAST_"))}
        told = {"DATABASE_URL": "", "BROKER_URL": "", "DJANGO_SETTINGS_MODULE": "scheduler.settings"}
        self._environment = {**kept, **told, "HINDCAST_VAR": str(folder), "SECRET_KEY": settings.SECRET_KEY}
        self.manage("migrate", "--verbosity=0")
        schedule, self.key = self.manage("shell", "--no-imports", "--verbosity=0", "--command", MADE).split()
        self._backfill = f"/api/schedules/{schedule}/backfill"

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=settings.BASE_DIR, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def counts(self) -> list[int]:
        """Sessions and attempts."""
        return [int(part) for part in self.manage("shell", "--no-imports", "--command", COUNTED).split()]

    def serve(self) -> subprocess.Popen[bytes]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "gunicorn", "scheduler.wsgi", "-b", f"127.0.0.1:{port}", "--threads", "2"]
        with self._log.open("wb") as log:
            return subprocess.Popen(command, cwd=settings.BASE_DIR, env=self._environment, stdout=log, stderr=log)

    def backfill(self, name: str, count: int) -> tuple[int, Any, str | None]:
        """Status, body and Retry-After."""
        asked = {"attemptName": name, "fromTime": SINCE, "count": count, "dryRun": False}
        try:
            return 200, post(f"{self.address}{self._backfill}", asked, self.key), None
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), error.headers["Retry-After"]


@pytest.mark.parametrize("connected", [True, False])
def test_a_full_disk_under_sqlite_is_a_503_that_keeps_nothing_and_heals_without_a_restart(
    disk: Callable[[int], Disk], tmp_path: Path, wait_until: Start, nothing_broken: Start, connected: bool
) -> None:
    small = disk(16)
    site = Site(small.folder, tmp_path / "site.log")
    web = site.serve()
    try:
        wait_until(lambda: answers(site.address), PATIENCE)
        if connected:
            assert site.backfill("none", 0)[0] == 400
        small.fill()

        status, said, retry_after = site.backfill("full", 5_000)

        assert (status, retry_after) == (503, "60"), said
        assert "disk of the database is full" in said["message"]
        assert answers(site.address)
        small.empty()
        assert site.counts() == [0, 0]
        status, healed, _ = site.backfill("full", 500)
        assert status == 200, healed
        assert site.counts() == [500, 500]
    finally:
        web.terminate()
        web.wait(30)
    nothing_broken()


def test_a_command_that_fills_the_disk_of_the_workspaces_fails_alone(
    disk: Callable[[int], Disk],
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Ledger,
    at_rest: Start,
    nothing_broken: Start,
) -> None:
    small = disk(8)
    living = worker(HINDCAST_WORK_DIR=str(small.folder), HINDCAST_LOG_LIMIT_BYTES=str(MEGABYTE))
    beat()
    (greedy,) = queue({"+fill": {"sh>": "yes > everything"}})
    at_rest()
    (talker,) = queue({"+talk": {"sh>": "yes | head -c 30000000"}})

    good = queue(ledger.task(), 5)

    at_rest()
    greedy.refresh_from_db()
    assert (greedy.status, greedy.deliveries) == ("error", 1)
    assert "No space left on device" in log_of(greedy)
    talker.refresh_from_db()
    assert (talker.status, len(log_of(talker)) < 2 * MEGABYTE) == ("success", True)
    assert {Attempt.objects.get(pk=attempt.pk).status for attempt in good} == {"success"}
    assert living.process.poll() is None
    assert [path.name for path in small.folder.iterdir()] == []
    nothing_broken()


def test_a_disk_that_others_filled_fails_attempts_with_that_reason_until_there_is_room(
    disk: Callable[[int], Disk], worker: Start, beat: Start, queue: Start, at_rest: Start, nothing_broken: Start
) -> None:
    small = disk(8)
    worker(HINDCAST_WORK_DIR=str(small.folder))
    beat()
    small.fill()
    archive = archives.store({"big.txt": os.urandom(MEGABYTE)})
    document = {"+look": {"sh>": "wc -c big.txt"}}

    (refused,) = queue(document, archive=archive)
    at_rest()
    small.empty()
    (healed,) = queue(document, archive=archive)
    at_rest()

    refused.refresh_from_db()
    assert (refused.status, refused.deliveries) == ("error", 1)
    assert "No space left on device" in refused.reason["message"]
    healed.refresh_from_db()
    assert healed.status == "success"
    nothing_broken()


def log_of(attempt: Attempt) -> str:
    return "".join(LogChunk.objects.filter(attempt=attempt).order_by("pk").values_list("text", flat=True))
