"""A worker that stood still in the middle of a transaction, until PostgreSQL ended its connection."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from scheduler import turns
from scheduler.models import Attempt

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def test_the_end_of_an_attempt_is_written_again(
    execute: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    stood_still = []
    pass_on = turns.pass_on

    def slowly(**fields: Any) -> Counter[Any]:
        if not stood_still:
            stood_still.append(True)
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
            time.sleep(0.3)
        return pass_on(**fields)

    monkeypatch.setattr(turns, "pass_on", slowly)
    attempt = execute({"+a": {"echo>": "x"}})

    assert stood_still
    assert (attempt.status, attempt.reason) == ("success", {})
