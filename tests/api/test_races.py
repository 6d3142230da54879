"""Many clients at once, in real threads, on a server database."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from scheduler.models import Attempt, Backfill, Schedule, Session

CLIENTS = 8
ROUNDS = 20


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_eight_clients_that_ask_for_the_same_backfill_at_once_one_gets_it(
    make_api: Callable[..., Any], operator: User, schedule: Schedule
) -> None:
    apis = [make_api(operator) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(ROUNDS):
            barrier = Barrier(CLIENTS, timeout=30)
            name = f"round {number}"

            responses = list(pool.map(lambda api: post(api, schedule, name, barrier), apis))  # noqa: B023

            assert Counter(response.status_code for response in responses) == {200: 1, 409: CLIENTS - 1}
            written = Attempt.objects.filter(name=name)
            answered = next(response for response in responses if response.status_code == 200).json()["attempts"]
            assert [int(entry["id"]) for entry in answered] == list(written.order_by("pk").values_list("pk", flat=True))
            assert written.filter(is_latest=True).count() == 3
            Attempt.objects.all().update(status="success", finished_at="2026-03-02T12:00:00Z")

    assert (Session.objects.count(), Attempt.objects.count(), Backfill.objects.count()) == (3, 3 * ROUNDS, ROUNDS)


def post(api: Any, schedule: Schedule, name: str, barrier: Barrier) -> Any:
    barrier.wait()
    try:
        return api.backfill(schedule, attemptName=name)
    finally:
        connection.close()
