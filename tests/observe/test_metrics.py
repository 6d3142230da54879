from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from projects import apikeys
from projects.models import Scope
from scheduler.models import Attempt, AttemptStatus, Heartbeat, Lane, Schedule, Skip, SkipReason
from scheduler.observe.metrics import Figures

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
QUEUED = {"status": AttemptStatus.QUEUED}


def figures(now: datetime = NOW) -> dict[str, float]:
    """`name{label}` to value, as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(now=now))
    samples = [
        s for family in text_string_to_metric_families(generate_latest(registry).decode()) for s in family.samples
    ]
    return {f"{s.name}{{{','.join(s.labels.values())}}}": s.value for s in samples}


@pytest.fixture
def hours_ago() -> Callable[[int], datetime]:
    return lambda hours: NOW - timedelta(hours=hours)


def test_an_empty_installation_has_a_figure_for_every_lane_and_state(db: None) -> None:
    found = figures()

    assert {found[f"hindcast_queue_depth{{{lane}}}"] for lane in Lane.values} == {0}
    assert found["hindcast_attempts_live{running}"] == found["hindcast_attempts_ended_recently{error}"] == 0
    assert found["hindcast_tick_lag_seconds{}"] == 0
    assert "hindcast_tick_age_seconds{}" not in found


def test_waiting_attempts_are_counted_by_lane_and_by_what_they_wait_for(
    schedule: Schedule, make_attempt: Callable[..., Attempt], hours_ago: Callable[[int], datetime]
) -> None:
    make_attempt(schedule, hours_ago(1), **QUEUED, released_at=NOW - timedelta(seconds=7))
    make_attempt(schedule, hours_ago(2), **QUEUED, released_at=NOW - timedelta(seconds=3))
    make_attempt(schedule, hours_ago(3), **QUEUED, lane=Lane.BACKFILL, released_at=None, created_at=hours_ago(1))
    make_attempt(schedule, hours_ago(4), status=AttemptStatus.RUNNING)

    found = figures()

    assert found["hindcast_queue_depth{scheduled}"] == 2
    assert found["hindcast_queue_oldest_seconds{scheduled}"] == 7
    assert found["hindcast_queue_depth{backfill}"] == 0
    assert found["hindcast_turn_queue_depth{backfill}"] == 1
    assert found["hindcast_turn_queue_oldest_seconds{backfill}"] == 3600
    assert found["hindcast_attempts_live{queued}"] == 3
    assert found["hindcast_attempts_live{running}"] == 1


def test_attempts_that_ended_long_ago_are_not_counted(
    schedule: Schedule, make_attempt: Callable[..., Attempt], hours_ago: Callable[[int], datetime]
) -> None:
    make_attempt(schedule, hours_ago(1), status=AttemptStatus.ERROR, finished_at=NOW - timedelta(minutes=4))
    make_attempt(schedule, hours_ago(2), status=AttemptStatus.ERROR, finished_at=NOW - timedelta(minutes=6))

    assert figures()["hindcast_attempts_ended_recently{error}"] == 1


def test_start_lag_has_what_started_lately_whether_it_is_done_or_runs(
    schedule: Schedule, make_attempt: Callable[..., Attempt], hours_ago: Callable[[int], datetime]
) -> None:
    def started(hours: int, *, ago: int, lag: float, **fields: Any) -> None:
        at = NOW - timedelta(seconds=ago)
        make_attempt(schedule, hours_ago(hours), started_at=at, released_at=at - timedelta(seconds=lag), **fields)

    started(1, ago=100, lag=0.2)
    started(2, ago=100, lag=4, status=AttemptStatus.RUNNING)
    started(3, ago=3600, lag=400, status=AttemptStatus.RUNNING)
    started(4, ago=100, lag=400, lane=Lane.BACKFILL)

    found = figures()

    assert found["hindcast_start_lag_seconds_bucket{0.1}"] == 0
    assert found["hindcast_start_lag_seconds_bucket{0.25}"] == 1
    assert found["hindcast_start_lag_seconds_bucket{5.0}"] == 2
    assert found["hindcast_start_lag_seconds_bucket{+Inf}"] == 2
    assert found["hindcast_start_lag_seconds_gsum{}"] == pytest.approx(4.2)


def test_attempts_that_lost_a_worker_are_counted(
    schedule: Schedule, make_attempt: Callable[..., Attempt], hours_ago: Callable[[int], datetime]
) -> None:
    make_attempt(schedule, hours_ago(1), status=AttemptStatus.RUNNING, deliveries=2)
    make_attempt(schedule, hours_ago(2), status=AttemptStatus.RUNNING, deliveries=1)

    assert figures()["hindcast_attempts_redelivered{}"] == 1


def test_tick_lag_is_the_longest_wait_of_a_due_schedule(make_schedule: Callable[..., Schedule]) -> None:
    make_schedule(name="late", next_session_time=NOW, next_run_time=NOW - timedelta(seconds=0))
    make_schedule(name="off", at=NOW - timedelta(days=1), disabled_at=NOW)

    assert figures(NOW + timedelta(seconds=30))["hindcast_tick_lag_seconds{}"] == 30


def test_beats_and_workers_count_while_they_are_heard_of(db: None) -> None:
    def heard(kind: str, name: str, seconds: int, **facts: Any) -> None:
        beat_at = NOW - timedelta(seconds=seconds)
        Heartbeat.objects.create(kind=kind, name=name, started_at=NOW, beat_at=beat_at, facts=facts)

    heard("beat", "a:1", 2, held_since="2026-03-02T11:00:00Z")
    heard("beat", "a:2", 300)
    heard("worker", "a:3", 5, slots=4)
    heard("worker", "b:4", 6, slots=8)
    heard("worker", "c:5", 90, slots=16)

    found = figures()

    assert found["hindcast_tick_age_seconds{}"] == 2
    assert found["hindcast_tick_held{}"] == 1
    assert found["hindcast_beats{}"] == 1
    assert found["hindcast_workers{}"] == 2
    assert found["hindcast_worker_slots{}"] == 12


def test_skips_of_the_last_day_count_by_reason(schedule: Schedule, hours_ago: Callable[[int], datetime]) -> None:
    for hours, reason in (
        (1, SkipReason.DELAYED),
        (2, SkipReason.DELAYED),
        (3, SkipReason.MISSED),
        (25, SkipReason.MISSED),
    ):
        at = hours_ago(hours)
        Skip.objects.create(schedule=schedule, session_time=at, reason=reason, created_at=at)

    found = figures()

    assert found["hindcast_sessions_skipped_recently{delayed}"] == 2
    assert found["hindcast_sessions_skipped_recently{missed}"] == 1


def test_a_scrape_makes_five_queries(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    make_attempt(schedule, **QUEUED)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        figures()

    assert len(queries) == 5


# --- who may scrape ---------------------------------------------------------------------------------------


def scrape(client: Client, key: str = "") -> Any:
    return client.get("/metrics", headers={"Authorization": f"Bearer {key}"} if key else {})


def test_a_key_that_may_read_gets_prometheus_text_without_names(
    client: Client, schedule: Schedule, api_key: str
) -> None:
    answer = scrape(client, api_key)

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    assert schedule.workflow.name not in answer.content.decode()
    assert schedule.workflow.project.name not in answer.content.decode()


def test_nobody_in_particular_is_refused(client: Client, db: None) -> None:
    assert scrape(client).status_code == 401


@pytest.mark.parametrize("scopes", [[Scope.OPERATE], []])
def test_a_key_that_may_not_read_is_refused(client: Client, operator: User, scopes: list[Scope]) -> None:
    _, key = apikeys.issue(user=operator, name="k", now=datetime.now(UTC), scopes=scopes)

    assert scrape(client, key).status_code == 403


def test_a_key_of_one_project_is_refused(client: Client, operator: User, schedule: Schedule) -> None:
    project = schedule.workflow.project
    _, key = apikeys.issue(user=operator, name="k", now=datetime.now(UTC), project=project)

    assert scrape(client, key).status_code == 403


def test_signed_in_staff_may_look_and_others_may_not(client: Client, make_user: Callable[..., User]) -> None:
    client.force_login(make_user("stan", is_staff=True))
    staff = scrape(client)
    client.force_login(make_user("onno"))
    other = scrape(client)

    assert (staff.status_code, other.status_code) == (200, 403)


def test_open_metrics_need_nothing(client: Client, db: None, settings: Settings) -> None:
    settings.HINDCAST_OPEN_METRICS = True

    assert scrape(client).status_code == 200
