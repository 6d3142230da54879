"""With the real package, in a process of its own, reporting to a server of ours."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

ROOT = Path(__file__).resolve().parents[2]
REQUEST = """
import django
django.setup()

import sentry_sdk
import structlog
from django.conf import settings
from django.test import Client
from django.urls import path

secret = "can" + "ary"  # the lines of this program may be reported; what they hold may not

def broken(request):
    password = secret + "-local"
    structlog.get_logger("x").warning("before", params=secret + "-crumb")
    raise RuntimeError("it broke")

urlpatterns = [path("api/broken", broken)]
handler500 = "scheduler.web.errors.server_error"
settings.ROOT_URLCONF = "__main__"
answer = Client(raise_request_exception=False).post(
    f"/api/broken?token={secret}-query", '{"params": "' + secret + '-body"}', content_type="application/json",
    headers={"Authorization": f"TD1 {secret}-key", "Cookie": f"sessionid={secret}", "X-Request-ID": "proxy-17"},
)
assert answer.status_code == 500
sentry_sdk.flush()
"""


@pytest.fixture
def tracker() -> Iterator[tuple[str, list[str]]]:
    """A server that takes reports: its address, and what it got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://public@127.0.0.1:{server.server_port}/1", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_error_is_reported_without_what_is_secret(tracker: tuple[str, list[str]], tmp_path: Path) -> None:
    dsn, got = tracker
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "scheduler.settings",
        "HINDCAST_VAR": str(tmp_path),
        "ALLOWED_HOSTS": "testserver",
        "SENTRY_DSN": dsn,
    }

    ran = subprocess.run(
        [sys.executable, "-c", REQUEST], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )

    assert ran.returncode == 0, ran.stderr
    reported = "".join(got)
    assert "it broke" in reported
    assert "/api/broken" in reported
    assert '"request_id":"proxy-17"' in reported
    assert "canary" not in reported


def test_a_missing_package_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SENTRY_DSN = "https://public@sentry.example/1"
    monkeypatch.setattr("scheduler.checks.find_spec", lambda name: None)

    messages = [message for message in run_checks() if message.id == "hindcast.W002"]

    assert len(messages) == 1
    assert "sentry-sdk" in messages[0].msg


def test_a_package_that_is_there_is_fine(settings: Settings) -> None:
    settings.SENTRY_DSN = "https://public@sentry.example/1"

    assert not [message for message in run_checks() if message.id == "hindcast.W002"]
