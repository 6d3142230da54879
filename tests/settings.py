"""The product's settings, on a folder of the test run's own.

TEST_DATABASE_URL and TEST_BROKER_URL choose what the suite runs on; the embedded default otherwise.
"""

import os
import tempfile
from pathlib import Path

os.environ["HINDCAST_VAR"] = VAR = os.environ.get("HINDCAST_TEST_VAR") or tempfile.mkdtemp(prefix="hindcast-test-")
os.environ["HINDCAST_TEST_VAR"] = VAR  # one folder for all processes of a run
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["BROKER_URL"] = os.environ.get("TEST_BROKER_URL", "")
os.environ["HINDCAST_APPS"] = "tests.shop"
os.environ.setdefault("SECRET_KEY", "a key for tests alone, of no use to anybody anywhere, fifty letters")

from scheduler.settings import *  # noqa: F403
from scheduler.settings import DATABASES, STATIC_ROOT, STORAGES

if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, not memory: other threads and processes look at it, too.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(VAR) / "test.sqlite3")}
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of one that is missing
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Logs are named after attempts, and every process of a parallel run has a database of its own, with the same ids.
STORAGES["logs"]["OPTIONS"] = {"location": Path(VAR) / "logs" / os.environ.get("PYTEST_XDIST_WORKER", "alone")}
