"""The log of an attempt in the admin, in the database while the attempt runs and in the storage afterwards."""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import Client
from django.urls import reverse

from scheduler import logs
from scheduler.admin.runs import SHOWN
from scheduler.models import Attempt, AttemptStatus, LogChunk, LogFile, Schedule


@pytest.fixture(autouse=True)
def _place(settings: Any, tmp_path: Path) -> None:
    storage = {"BACKEND": "projects.storage.WholeFileStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "logs": storage}


@pytest.fixture
def attempt(schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime) -> Attempt:
    return make_attempt(schedule, now, status=AttemptStatus.ERROR)


def write(attempt: Attempt, text: str) -> None:
    LogChunk.objects.create(attempt=attempt, position=1, text=text, written_at=attempt.created_at)


def page_of(row: Attempt | LogFile) -> str:
    return reverse(f"admin:scheduler_{row._meta.model_name}_change", args=[row.pk])


def pages_behind(client: Client, attempt: Attempt) -> str:
    """What stands on the rows' pages that the links of the attempt's own page lead to."""
    lists = re.findall(r'href="([^"]*/log[a-z]+/\?attempt=\d+)"', client.get(page_of(attempt)).content.decode())
    rows = [row for url in lists for row in client.get(url).context["cl"].result_list]
    return "".join(client.get(page_of(row)).content.decode() for row in rows)


def test_an_attempt_leads_to_its_log_before_and_after_it_was_moved(superuser_client: Client, attempt: Attempt) -> None:
    write(attempt, "one <b>\n")
    before = pages_behind(superuser_client, attempt)

    logs.move(attempt.pk)

    assert LogFile.objects.exists()
    assert ["one &lt;b&gt;" in html for html in (before, pages_behind(superuser_client, attempt))] == [True, True]


def test_the_end_of_a_long_log_is_shown_with_the_way_to_all_of_it(superuser_client: Client, attempt: Attempt) -> None:
    write(attempt, "beginning" + "x" * SHOWN + "last")
    logs.move(attempt.pk)

    html = superuser_client.get(page_of(LogFile.objects.get())).content.decode()

    assert ("last</pre>" in html, "beginning" in html) == (True, False)
    assert "The last 50,000 characters." in html
    assert f'href="/attempts/{attempt.pk}/log.txt"' in html


def test_a_log_that_the_storage_does_not_give_is_told_in_words(superuser_client: Client, attempt: Attempt) -> None:
    write(attempt, "one")
    logs.move(attempt.pk)
    storages["logs"].delete(LogFile.objects.get().name)

    answer = superuser_client.get(page_of(LogFile.objects.get()))

    assert answer.status_code == 200
    assert "The storage of logs does not answer with this log. Try again later." in answer.content.decode()
