from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _at_noon() -> Any:
    with time_machine.travel(NOW + timedelta(minutes=10), tick=False):
        yield


@pytest.fixture
def make_backfill(schedule: Schedule) -> Callable[..., Backfill]:
    """A backfill of the last `sessions` hours."""

    def make(sessions: int = 3, name: str = "fix", of: Schedule | None = None) -> Backfill:
        plan = backfill(
            schedule_id=(of or schedule).pk,
            attempt_name=name,
            from_time=NOW - timedelta(hours=sessions - 1),
            dry_run=False,
            now=NOW,
        )
        assert plan.backfill
        return plan.backfill

    return make


def finish(attempts: Any, status: AttemptStatus = AttemptStatus.SUCCESS, **fields: Any) -> None:
    """Write the end of attempts as a worker would have."""
    pks = list(attempts.values_list("pk", flat=True))
    Attempt.objects.filter(pk__in=pks).update(status=status, started_at=NOW, finished_at=NOW, released_at=NOW, **fields)


def test_the_page_counts_by_state(page: Client, make_backfill: Callable[..., Backfill]) -> None:
    row = make_backfill(5)
    finish(row.attempts.order_by("pk")[:2])
    finish(row.attempts.order_by("pk")[2:3], AttemptStatus.ERROR, reason={"message": "disk full"})

    html = page.get(f"/backfills/{row.pk}").content.decode()

    assert "3 of 5 done, 1 failed" in html
    assert "disk full" in html
    assert html.count('class="shape is-success" href') == 2


def test_the_rest_is_estimated_from_what_is_done(page: Client, make_backfill: Callable[..., Backfill]) -> None:
    row = make_backfill(10)
    finish(row.attempts.order_by("pk")[:5])

    html = page.get(f"/backfills/{row.pk}").content.decode()

    assert "5 of 10 done, one every 2 min, about 10 min left" in html


def test_nothing_is_estimated_before_anything_is_done(page: Client, make_backfill: Callable[..., Backfill]) -> None:
    row = make_backfill(10)

    assert "0 of 10 done</p>" in page.get(f"/backfills/{row.pk}").content.decode()


def test_an_attempt_that_ends_while_the_page_is_made_does_not_break_it(
    page: Client, make_backfill: Callable[..., Backfill]
) -> None:
    row = make_backfill(3)

    def end_one(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if "GROUP BY" in sql and not Attempt.objects.filter(status=AttemptStatus.SUCCESS).exists():
            finish(row.attempts.order_by("pk")[:1])
        return answer

    with connection.execute_wrapper(end_one):
        answer = page.get(f"/backfills/{row.pk}")

    assert answer.status_code == 200
    assert Attempt.objects.filter(status=AttemptStatus.SUCCESS).count() == 1


def test_the_page_asks_again_until_all_is_done(page: Client, make_backfill: Callable[..., Backfill]) -> None:
    row = make_backfill()
    assert f'hx-get="/backfills/{row.pk}/progress"' in page.get(f"/backfills/{row.pk}").content.decode()
    assert "hx-trigger" in page.get(f"/backfills/{row.pk}/progress").content.decode()

    finish(row.attempts)

    assert "hx-get" not in page.get(f"/backfills/{row.pk}").content.decode()
    assert "hx-get" not in page.get(f"/backfills/{row.pk}/progress").content.decode()


def test_a_long_backfill_is_shown_in_pages(page: Client, make_backfill: Callable[..., Backfill]) -> None:
    row = make_backfill(450)

    seen: list[str] = []
    address = ""
    while True:
        answer = page.get(f"/backfills/{row.pk}{address}")
        assert len(answer.content) < 100_000
        seen += [mark.href for mark in answer.context["grid"].rows]
        if not answer.context["grid"].next_href:
            break
        address = answer.context["grid"].next_href

    assert seen == [f"/attempts/{pk}" for pk in row.attempts.order_by("pk").values_list("pk", flat=True)]


def test_a_later_page_keeps_its_place_while_it_updates(page: Client, make_backfill: Callable[..., Backfill]) -> None:
    row = make_backfill(250)
    later = page.get(f"/backfills/{row.pk}").context["grid"].next_href

    html = page.get(f"/backfills/{row.pk}{later}").content.decode()

    assert f'hx-get="/backfills/{row.pk}/progress{later}"' in html


def test_the_list_is_empty_with_advice(page: Client) -> None:
    assert "press Backfill" in page.get("/backfills").content.decode()


def test_the_list_shows_progress_in_the_same_queries_however_many(
    page: Client,
    make_backfill: Callable[..., Backfill],
    make_schedule: Callable[..., Schedule],
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    make_backfill(2)
    with django_assert_num_queries(6):
        page.get("/backfills")

    for number in range(30):
        make_backfill(2, of=make_schedule(name=f"w{number}"))

    with django_assert_num_queries(6):
        html = page.get("/backfills").content.decode()
    assert html.count("0 of 2 done</span>") == 25


def test_the_list_is_paged_newest_first(
    page: Client, make_backfill: Callable[..., Backfill], make_schedule: Callable[..., Schedule]
) -> None:
    made = [make_backfill(1, of=make_schedule(name=f"w{number}")).pk for number in range(30)]

    first = page.get("/backfills").context["list"]
    second = page.get(f"/backfills{first.next_href}").context["list"]

    assert [row.href for row in (*first.rows, *second.rows)] == [f"/backfills/{pk}" for pk in reversed(made)]


def test_the_list_of_one_schedule_leaves_the_others_out(
    page: Client, schedule: Schedule, make_backfill: Callable[..., Backfill], make_schedule: Callable[..., Schedule]
) -> None:
    mine, other = make_backfill(1), make_backfill(1, of=make_schedule(name="else"))

    rows = page.get(f"/backfills?schedule={schedule.pk}").context["list"].rows

    assert [row.href for row in rows] == [f"/backfills/{mine.pk}"]
    assert other.pk != mine.pk


def test_a_backfill_outlives_its_schedule(
    page: Client, schedule: Schedule, make_backfill: Callable[..., Backfill]
) -> None:
    row = make_backfill()
    schedule.delete()

    for address in (f"/backfills/{row.pk}", "/backfills", "/attempts", f"/attempts/{row.attempts.first().pk}"):
        assert page.get(address).status_code == 200
    assert page.get(f"/sessions/{row.attempts.first().session_id}").status_code == 200


def test_a_backfill_whose_schedule_is_gone_is_told_in_the_zone_of_its_workflow(
    page: Client, make_schedule: Callable[..., Schedule], make_backfill: Callable[..., Backfill]
) -> None:
    schedule = make_schedule(timezone="Asia/Tokyo", name="tokyo")
    row = make_backfill(of=schedule)
    schedule.delete()

    facts, (listed,) = page.get(f"/backfills/{row.pk}").context, page.get("/backfills").context["list"].rows

    assert facts["zone"] == "Asia/Tokyo"
    assert facts["from_time"].local == "2026-03-02 19:00 +09:00"
    assert facts["grid"].rows[0].title.startswith("2026-03-02 19:00 +09:00")
    assert listed.created.local == facts["backfill"].created.local == "2026-03-02 21:00 +09:00"


def test_the_page_takes_the_same_queries_however_many_attempts(
    page: Client,
    make_backfill: Callable[..., Backfill],
    make_schedule: Callable[..., Schedule],
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    small, large = make_backfill(2), make_backfill(600, of=make_schedule(name="else"))
    for row in (small, large):
        finish(row.attempts.order_by("pk")[:1], AttemptStatus.ERROR)

        with django_assert_num_queries(10):
            page.get(f"/backfills/{row.pk}")


def test_a_finished_backfill_says_how_long_it_took_and_is_announced(
    page: Client, make_backfill: Callable[..., Backfill]
) -> None:
    row = make_backfill(2)
    finish(row.attempts)
    row.attempts.filter(pk=row.attempts.order_by("pk").last().pk).update(finished_at=NOW + timedelta(seconds=75))

    html = page.get(f"/backfills/{row.pk}/progress").content.decode()

    assert '<p id="announce" hx-swap-oob="innerHTML">2 of 2 done, took 1 min 15 s</p>' in html
