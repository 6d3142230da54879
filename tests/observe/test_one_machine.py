import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from django.db import connection

from scheduler.models import Heartbeat
from scheduler.observe import one_machine


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, db: None) -> list[dict[str, Any]]:
    """What a worker says as it starts, while another machine's beat and one that has ended are known."""
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(one_machine, "log", structlog.wrap_logger(structlog.ReturnLogger(), processors=[keep(seen)]))
    return seen


def keep(seen: list[dict[str, Any]]) -> Any:
    def processor(_: Any, __: str, event: Any) -> str:
        seen.append(dict(event))
        return ""

    return processor


def heard(name: str, seconds_ago: float = 1) -> None:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    Heartbeat.objects.create(kind="beat", name=name, started_at=at, beat_at=at)


def test_another_machine_on_the_same_sqlite_file_is_said(said: list[dict[str, Any]]) -> None:
    heard("elsewhere:17")

    one_machine.warn_of_other_machines()

    expected = [["elsewhere"]] if connection.vendor == "sqlite" else []
    assert [line["machines"] for line in said] == expected


def test_more_processes_of_this_machine_and_old_ones_are_nothing_to_say(said: list[dict[str, Any]]) -> None:
    heard(f"{socket.gethostname()}:17")
    heard("elsewhere:17", seconds_ago=3600)

    one_machine.warn_of_other_machines()

    assert said == []
