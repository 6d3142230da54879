"""`manage.py backfills`: the list of the API with the ids that other commands take, in columns or as it is."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule

Manage = Callable[..., Any]
COUNTED = ["success", "success", "error", "canceling", "running", "killed", "queued"]


@pytest.fixture
def make_backfill(make_attempt: Callable[..., Attempt], now: datetime) -> Callable[..., Backfill]:
    """A backfill with an attempt in each of these states."""

    def make(schedule: Schedule, *statuses: str, name: str = "again", **fields: Any) -> Backfill:
        values = {"from_time": now, "sessions": len(statuses), "created_at": now, **fields}
        row = Backfill.objects.create(workflow=schedule.workflow, schedule=schedule, name=name, **values)
        for hour, status in enumerate(statuses):
            moment = now.replace(hour=hour)
            make_attempt(schedule, moment, status=AttemptStatus(status), name=name, backfill=row)
        return row

    return make


def test_they_are_listed_newest_first_with_their_ids_and_counts(
    manage: Manage, make_schedule: Callable[..., Schedule], make_backfill: Callable[..., Backfill]
) -> None:
    first = make_backfill(make_schedule(), *COUNTED)
    second = make_backfill(make_schedule(project="shop", name="orders"), "success", name="mend")

    said = manage("backfills")

    assert said.cells == [
        ["ID", "WORKFLOW", "NAME", "QUEUED", "RUNNING", "SUCCESS", "ERROR", "KILLED"],
        [str(second.pk), "shop/orders", "mend", "0", "0", "1", "0", "0"],
        [str(first.pk), "sales/hourly_report", "again", "1", "2", "2", "1", "1"],
    ]
    assert (said.err, said.code) == ("", 0)
    assert [row[0] for row in manage("backfills", "sales", "hourly_report").cells[1:]] == [str(first.pk)]


def test_the_id_is_the_one_that_is_killed(
    manage: Manage, schedule: Schedule, make_backfill: Callable[..., Backfill]
) -> None:
    make_backfill(schedule, "queued")

    manage("kill_backfill", manage("backfills").cells[1][0])

    assert Attempt.objects.get().status == "killed"


def test_machines_get_what_the_api_answers(
    manage: Manage, schedule: Schedule, make_backfill: Callable[..., Backfill], client: Client, api_key: str
) -> None:
    make_backfill(schedule, *COUNTED)

    answer = client.get("/api/backfills", headers={"Authorization": f"TD1 {api_key}"}).json()

    assert json.loads(manage("backfills", "--json").out) == answer


def test_pages_go_on_below_the_last_id(
    manage: Manage, schedule: Schedule, make_backfill: Callable[..., Backfill]
) -> None:
    pks = [str(make_backfill(schedule, name=f"n{number}").pk) for number in range(3)][::-1]

    newest, older = manage("backfills", "-s", 2), manage("backfills", "-i", pks[1])

    assert [row[0] for row in newest.cells[1:]] == pks[:2]
    assert newest.err == f"There are more backfills: go on with --last-id {pks[1]}.\n"
    assert ([row[0] for row in older.cells[1:]], older.err) == (pks[2:], "")


def test_a_line_fits_in_a_hundred_columns(
    manage: Manage, make_schedule: Callable[..., Schedule], make_backfill: Callable[..., Backfill]
) -> None:
    make_backfill(make_schedule(project="p" * 200, name="w" * 200), *COUNTED, name="n" * 200, pk=1_234_567)

    lines = manage("backfills").out.splitlines()

    assert len(lines) == 2
    assert max(map(len, lines)) <= 100


def test_the_number_of_queries_does_not_grow(
    manage: Manage, schedule: Schedule, make_backfill: Callable[..., Backfill], django_assert_num_queries: Any
) -> None:
    for number in range(5):
        make_backfill(schedule, "success", "error", name=f"n{number}")

        with django_assert_num_queries(3):
            manage("backfills")
