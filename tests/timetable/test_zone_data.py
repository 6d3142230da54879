"""One set of time zones for all machines: the package tzdata, whatever a machine has of its own."""

import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
from datetime import datetime
from zoneinfo import ZoneInfo
early = ZoneInfo("Asia/Tokyo")
import django
django.setup()
from scheduler.timetable import TimetableError, zone
print(early.utcoffset(datetime(2026, 1, 1)), ZoneInfo("Asia/Tokyo").utcoffset(datetime(2026, 1, 1)))
print(zone("Asia/Tokyo").utcoffset(datetime(2026, 1, 1)))
try:
    print(zone("Mars/Base"))
except TimetableError:
    print("no Mars")
from django_celery_beat.models import CrontabSchedule
print([name for _, name in CrontabSchedule._meta.get_field("timezone").choices if name in ("Asia/Tokyo", "Mars/Base")])
"""


@pytest.fixture
def odd_machine(tmp_path: Path) -> Path:
    """Its zone files put Tokyo at UTC, and know a zone that nobody else does."""
    utc = resources.files("tzdata") / "zoneinfo" / "Etc" / "UTC"
    for name in ("Asia/Tokyo", "Mars/Base"):
        (tmp_path / name).parent.mkdir()
        with resources.as_file(utc) as file:
            shutil.copy(file, tmp_path / name)
    return tmp_path


def test_a_machine_with_other_zone_files_has_the_same_zones(odd_machine: Path) -> None:
    environment = {**os.environ, "PYTHONTZPATH": str(odd_machine), "DJANGO_SETTINGS_MODULE": "tests.settings"}

    said = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True)

    assert said.stdout.splitlines() == ["0:00:00 9:00:00", "9:00:00", "no Mars", "['Asia/Tokyo']"], said.stderr
