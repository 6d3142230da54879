"""What people bring: clients of Digdag, and files. The clients talk to real processes: web, worker and beat."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from tdworkflow.client import Client

from projects import apikeys
from projects.folders import pack_folder
from projects.models import Revision
from scheduler import pushing
from scheduler.execution.lease import keeper
from tests.processes import Process, database_url

ADDRESS = re.compile(r"Hindcast is ready: http://([\w.:]+)/")
MAY = (
    "projects.add_revision",
    "projects.change_secret",
    "projects.delete_project",
    "scheduler.backfill_schedule",
    "scheduler.change_schedule",
    "scheduler.run_attempt",
)


@pytest.fixture
def site(
    transactional_db: None, own_broker: dict[str, str], tmp_path: Path, wait_until: Callable[..., Any]
) -> Iterator[str]:
    """Host and port of a whole site, `manage.py up`, on the database and the broker of this test."""
    output = tmp_path / "site.log"
    environment = {
        **os.environ,
        **own_broker,
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "DATABASE_URL": database_url(),
        "HINDCAST_VAR": str(settings.VAR_DIR),
        "HINDCAST_WORK_DIR": str(tmp_path / "work"),
        "HINDCAST_TEST_READY": str(tmp_path / "ready"),
    }
    with output.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", "0"],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    process = Process(started, output)
    try:
        wait_until(lambda: ADDRESS.search(output.read_text()) or started.poll() is not None, 30)
        ready = ADDRESS.search(output.read_text())
        assert ready, f"The site did not start:\n{output.read_text()}"
        yield ready[1]
    finally:
        process.stop()


@pytest.fixture
def http(site: str, make_user: Callable[..., Any]) -> Iterator[requests.Session]:
    """Plain HTTP with the key of somebody who may do everything that clients do."""
    _, key = apikeys.issue(user=make_user("ann", *MAY), name="client", now=datetime.now(UTC))
    with requests.Session() as session:
        session.headers["Authorization"] = f"TD1 {key}"
        yield session


@pytest.fixture
def client(site: str, http: requests.Session) -> Client:
    """`tdworkflow`, as it comes from PyPI."""
    return Client(endpoint=site, scheme="http", apikey="in the session's headers", _session=http)


@pytest.fixture
def push(db: None, settings: Any, tmp_path: Path) -> Callable[..., Revision]:
    """push(folder, project="shop"): the revision that came of it. What is run of it works in this test's folder."""
    settings.HINDCAST_WORK_DIR = tmp_path / "work"

    def make(folder: Path | str, project: str = "shop", **options: Any) -> Revision:
        arguments = {"revision_name": "r1", "now": datetime.now(UTC), **options}
        with pack_folder(Path(folder)) as upload:
            return pushing.push(project_name=project, upload=upload, **arguments)

    return make


@pytest.fixture(scope="session", autouse=True)
def _lease_threads_end(django_db_setup: None) -> Iterator[None]:
    """They close their connections then; a database with open ones cannot be dropped."""
    yield
    keeper.join()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """write({"a.dig": "…"}): the path of a project's folder with these files, and those of earlier calls."""

    def make(files: dict[str, str], folder: str = "shop") -> str:
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
        return str(tmp_path / folder)

    return make
