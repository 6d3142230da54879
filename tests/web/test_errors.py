import json
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import Http404
from django.test import Client, RequestFactory

from scheduler.models import Schedule
from scheduler.web import errors


def test_an_unknown_address_is_answered_in_words(page: Client) -> None:
    answer = page.get("/nowhere")

    assert answer.status_code == 404
    assert b"There is nothing at this address" in answer.content


def test_what_is_gone_is_answered_in_its_own_words(rf: RequestFactory, db: None) -> None:
    request = rf.get("/projects/1/secrets/set")
    request.user = AnonymousUser()

    gone = errors.not_found(request, errors.Gone("The project was deleted.")).content
    elsewhere = errors.not_found(request, Http404("No Project matches the given query.")).content

    assert b"The project was deleted." in gone
    assert b"nothing at this address" not in gone
    assert b"nothing at this address" in elsewhere
    assert b"given query" not in elsewhere


def test_an_unknown_address_needs_no_login(client: Client, db: None) -> None:
    assert client.get("/nowhere").status_code == 404


def test_under_the_api_an_unknown_address_is_json(rf: RequestFactory) -> None:
    answer = errors.not_found(rf.get("/api/nowhere"), Http404())

    assert answer.status_code == 404
    assert json.loads(answer.content) == {"message": ANY, "status": 404}


def test_a_failure_is_answered_without_the_database(rf: RequestFactory) -> None:
    answer = errors.server_error(rf.get("/schedules/1"))

    assert answer.status_code == 500
    assert b"Something went wrong" in answer.content


def test_under_the_api_a_failure_is_json(rf: RequestFactory) -> None:
    answer = errors.server_error(rf.get("/api/schedules"))

    assert answer["Content-Type"] == "application/json"


def test_a_failure_shows_no_traceback(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("scheduler.web.attempts.key_page", broken)
    page.raise_request_exception = False

    answer = page.get("/attempts")

    assert answer.status_code == 500
    assert b"Something went wrong" in answer.content
    assert b"secret detail" not in answer.content


def test_a_form_without_a_token_changes_nothing_and_says_why(
    schedule: Schedule, make_user: Callable[..., User]
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("kim", "scheduler.change_schedule"))

    answer = client.post(f"/schedules/{schedule.pk}/disable")

    assert answer.status_code == 403
    assert b"This form is too old" in answer.content
    schedule.refresh_from_db()
    assert schedule.disabled_at is None
