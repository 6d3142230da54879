"""A schedule's page says what it does with late sessions, and what it skipped; every page says when nothing starts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from scheduler import clock
from scheduler.models import Heartbeat, Pool, Schedule, Skip

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ["are all caught up.", "runs beside an earlier one"]),
        (
            {"catch_up": "latest", "overlap": "queue_one"},
            ["the latest alone runs.", "while one waits, others are skipped"],
        ),
        ({"catch_up": "none", "overlap": "cancel_running"}, ["could start them are skipped.", "kills an earlier one"]),
        (
            {"overlap": "skip", "skip_delayed_by": 5400},
            ["is skipped while an", "late by more than 1 h 30 m is skipped."],
        ),
    ],
)
def test_the_page_says_the_policies_in_words(
    page: Client, make_schedule: Callable[..., Schedule], fields: dict[str, object], words: list[str]
) -> None:
    schedule = make_schedule(**fields)

    html = page.get(f"/schedules/{schedule.pk}").content.decode()

    assert all(text in html for text in words)


def test_the_page_names_the_pool_of_the_schedule(page: Client, make_schedule: Callable[..., Schedule]) -> None:
    pooled = make_schedule(name="a", pool=Pool.objects.create(name="<warehouse>", slots=2))
    free = make_schedule(name="b")

    htmls = [page.get(f"/schedules/{schedule.pk}").content.decode() for schedule in (pooled, free)]

    sentence = "Its attempts share the slots of the pool <bdi>&lt;warehouse&gt;</bdi>."
    assert [sentence in html for html in htmls] == [True, False]


def test_the_page_lists_skips_with_local_time_and_reason_newest_first(
    page: Client, make_schedule: Callable[..., Schedule]
) -> None:
    schedule = make_schedule(timezone="Asia/Tokyo")
    for hours, reason in ((1, "missed"), (2, "overtime"), (3, "delayed")):
        Skip.objects.create(schedule=schedule, session_time=NOW - hours * HOUR, reason=reason, created_at=NOW)

    html = page.get(f"/schedules/{schedule.pk}").content.decode()

    listed = html[html.index('id="skips"') :]
    reasons = ["Came due while nothing was there to start it", "An earlier session was not done", "Too late to start"]
    assert [listed.index(reason) for reason in reasons] == sorted(listed.index(reason) for reason in reasons)
    assert "2026-03-02 20:00 +09:00" in listed


@pytest.fixture
def make_skips(schedule: Schedule) -> Callable[[int], None]:
    """Skips of the last hours."""

    def make(count: int) -> None:
        Skip.objects.bulk_create(
            Skip(schedule=schedule, session_time=NOW - hours * HOUR, reason="missed", created_at=NOW)
            for hours in range(count)
        )

    return make


def test_skips_are_paged_newest_first_and_none_is_missed(
    page: Client, schedule: Schedule, make_skips: Callable[[int], None]
) -> None:
    make_skips(60)
    address = f"/schedules/{schedule.pk}"

    first = page.get(address)
    second = page.get(f"{address}{first.context['skips'].next_href}")

    html, pages = first.content.decode(), (first.context["skips"], second.context["skips"])
    times = [row.time.local for listed in pages for row in listed.rows]
    assert html[html.index('id="skips"') :].count("Came due while") == 50
    assert f'href="{pages[0].next_href}#skips">Older skips</a>' in html
    assert (len(times), times) == (60, sorted(times, reverse=True))
    assert pages[1].next_href == ""
    assert "Newest skips" in second.content.decode()


def test_a_page_full_of_skips_has_no_further_page(
    page: Client, schedule: Schedule, make_skips: Callable[[int], None]
) -> None:
    make_skips(50)

    html = page.get(f"/schedules/{schedule.pk}").content.decode()

    assert html.count("Came due while") == 50
    assert "Older skips" not in html
    assert "are shown" not in html


def test_a_page_after_the_last_skip_leads_back(
    page: Client, schedule: Schedule, make_skips: Callable[[int], None]
) -> None:
    make_skips(1)

    html = page.get(f"/schedules/{schedule.pk}?skipped_before=2020-01-01T00:00:00Z").content.decode()

    assert "Newest skips" in html


def test_a_schedule_that_skipped_nothing_has_no_such_list(page: Client, schedule: Schedule) -> None:
    assert 'id="skips"' not in page.get(f"/schedules/{schedule.pk}").content.decode()


@pytest.fixture
def make_beat(db: None) -> Callable[..., Heartbeat]:
    """A beat that holds its tick."""

    def make(silent: timedelta = timedelta(0)) -> Heartbeat:
        at = clock.database_now() - silent
        facts = {"held_since": NOW.isoformat(), "reason": "the database's clock jumped by 2 days"}
        return Heartbeat.objects.create(kind="beat", name="here:1", started_at=at, beat_at=at, facts=facts)

    return make


@pytest.mark.parametrize("path", ["/", "/attempts", "/backfills"])
def test_every_page_says_that_nothing_is_started(page: Client, make_beat: Callable[..., Heartbeat], path: str) -> None:
    make_beat()

    html = page.get(path).content.decode()

    assert "Nothing is started since 2026-03-02 12:00 UTC: the database&#x27;s clock jumped by 2 days." in html


def test_a_beat_that_is_gone_or_ticks_holds_nothing(page: Client, make_beat: Callable[..., Heartbeat]) -> None:
    beat = make_beat(silent=timedelta(seconds=70))

    assert "Nothing is started" not in page.get("/").content.decode()
    Heartbeat.objects.filter(pk=beat.pk).update(facts={}, beat_at=clock.database_now())
    assert "Nothing is started" not in page.get("/").content.decode()
