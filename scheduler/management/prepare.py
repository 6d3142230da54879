"""Everything between a fresh clone and a site to sign in to. Each step does nothing when there is nothing to do."""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.finders import get_finders
from django.core.files.storage import Storage, storages
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from projects import apikeys
from projects.models import Scope
from scheduler.management import demo
from scheduler.models import Schedule

ADMIN = "admin"
TRIED = "hourly_orders"  # the workflow of the first backfill
# Swagger UI is the only part of the sidecar that is served; the rest is copies and another viewer.
NOT_SERVED = ["redoc", "swagger-ui-es-bundle*"]


@dataclass
class Welcome:
    """What the first person needs. Kept under var/, readable by its owner alone, so that it can be said again."""

    username: str = ADMIN
    password: str = field(default="", repr=False)
    password_hash: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    schedule_id: int = 0
    from_time: str = ""


def welcome_path() -> Path:
    path: Path = settings.VAR_DIR / "welcome.json"
    return path


def read_welcome() -> Welcome:
    """What was kept; empty when nothing was."""
    path = welcome_path()
    kept = json.loads(path.read_text()) if path.exists() else {}
    return Welcome(**{item.name: kept[item.name] for item in fields(Welcome) if item.name in kept})


def prepare_demo(*, now: datetime) -> Welcome:
    """Database, static files, the demo project, an admin and an API key of theirs. The second time changes nothing."""
    migrate()
    collect_static()
    schedules = demo.make(now=now)
    welcome = _with_key(_with_admin(read_welcome()), now)
    for schedule in schedules:
        if schedule.workflow.name == TRIED:
            welcome.schedule_id, welcome.from_time = schedule.pk, _midnight_of_yesterday(schedule, now)
    _keep(welcome)
    return welcome


def migrate() -> None:
    if unapplied_migrations():
        call_command("migrate", verbosity=0)


def unapplied_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def collect_static() -> None:
    """`collectstatic`, when the files that it would collect are not those of the last time."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    fingerprint = sha256("\n".join(_static_sources()).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != fingerprint:
        call_command("collectstatic", interactive=False, clear=True, verbosity=0, ignore_patterns=NOT_SERVED)
        stamp.write_text(fingerprint)


def lacks_static() -> bool:
    """Whether a file of the pages was not collected yet, so that a page that names it would fail."""
    collected = getattr(storages["staticfiles"], "hashed_files", None)  # other storages take files as they lie
    return collected is not None and any(path not in collected for path, _ in _static_files())


def _static_files() -> Iterable[tuple[str, Storage]]:
    for finder in get_finders():
        yield from finder.list(NOT_SERVED)


def _static_sources() -> Iterable[str]:
    for path, storage in _static_files():
        status = os.stat(storage.path(path))
        yield f"{path} {status.st_size} {status.st_mtime_ns}"


def _with_admin(welcome: Welcome) -> Welcome:
    """The admin, made when there is none. A password that was changed since is not ours to say."""
    admin = User.objects.filter(username=ADMIN).first()
    if admin is None:
        password = secrets.token_urlsafe(9)
        admin = User.objects.create_superuser(ADMIN, password=password)
        welcome.password, welcome.password_hash = password, admin.password
    elif admin.password != welcome.password_hash:
        welcome.password = ""
    return welcome


def _with_key(welcome: Welcome, now: datetime) -> Welcome:
    if not welcome.api_key or apikeys.find(welcome.api_key, now=now) is None:
        admin = User.objects.get(username=ADMIN)
        _, welcome.api_key = apikeys.issue(user=admin, name="first key", now=now, scopes=list(Scope))
    return welcome


def _keep(welcome: Welcome) -> None:
    text = json.dumps(asdict(welcome), indent=1)
    path = welcome_path()
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _midnight_of_yesterday(schedule: Schedule, now: datetime) -> str:
    yesterday = schedule.timetable.local(now) - timedelta(days=1)
    return yesterday.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
