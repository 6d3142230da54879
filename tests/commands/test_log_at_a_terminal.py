"""`manage.py log` as a process: whoever reads it may leave, and Ctrl-C ends it without a word."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.conf import settings

from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule
from tests.processes import database_url

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

# As manage.py, where whoever started the tests in the background does not keep Ctrl-C away.
MANAGE = """
import signal, sys
from django.core.management import execute_from_command_line
signal.signal(signal.SIGINT, signal.default_int_handler)
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""
LINES = 20_000  # more than a pipe holds

Log = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def running(schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime) -> Attempt:
    attempt = make_attempt(schedule, status=AttemptStatus.RUNNING)
    LogChunk.objects.create(attempt=attempt, position=1, text="a line\n" * LINES, written_at=now)
    return attempt


@pytest.fixture
def log() -> Iterator[Log]:
    """log(7, "-f"): the command as a process of its own, which Ctrl-C reaches."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", MANAGE, "log", *map(str, arguments)],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "scheduler.settings",
                "DATABASE_URL": database_url(),
                "HINDCAST_VAR": str(settings.VAR_DIR),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_reader_that_has_enough_ends_it_quietly(running: Attempt, log: Log) -> None:
    process = log(running.pk)
    assert process.stdout
    assert process.stderr

    assert process.stdout.readline() == b"a line\n"
    process.stdout.close()

    assert (process.wait(60), process.stderr.read()) == (0, b"")


def test_ctrl_c_ends_it_without_a_word_and_lets_the_attempt_run(running: Attempt, log: Log) -> None:
    process = log(running.pk, "-f")
    assert process.stdout
    for _ in range(LINES):
        process.stdout.readline()

    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)

    assert (process.returncode, rest, errors) == (130, b"", b"")
    running.refresh_from_db()
    assert running.status == "running"
