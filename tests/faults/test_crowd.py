"""Much work, or nobody to do it: F14 a long backfill beside schedules, F15 no workers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from scheduler import dispatch
from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Heartbeat, Lane, Schedule, Session
from tests.faults.conftest import PATIENCE

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres, pytest.mark.long]

Start = Callable[..., Any]
SLOTS = 2_000
LIVE = 10
# Starts in the order in which they happened, with the lane.
STARTS = """
    SELECT lane, attempt_id FROM fault_moves move JOIN scheduler_attempt attempt ON attempt.id = move.attempt_id
     WHERE now = 'running' AND was = 'queued' ORDER BY move.id
"""
# For each scheduled attempt, how many of the backfill started between its coming and its start.
OVERTAKEN = """
    SELECT (SELECT count(*) FROM fault_moves other JOIN scheduler_attempt attempt ON attempt.id = other.attempt_id
             WHERE attempt.lane = 'backfill' AND other.now = 'running' AND other.id BETWEEN came.id AND began.id)
      FROM fault_moves came JOIN fault_moves began ON began.attempt_id = came.attempt_id AND began.now = 'running'
      JOIN scheduler_attempt attempt ON attempt.id = came.attempt_id AND attempt.lane = 'scheduled'
     WHERE came.was = ''
"""


def rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_a_long_backfill_and_the_schedules_beside_it_both_get_on(
    worker: Start, beat: Start, make_schedule: Start, every_slot: Start, wait_until: Start, nothing_broken: Start
) -> None:
    now = datetime.now(UTC)
    past = make_schedule("*/5 * * * *", name="past", at=now, disabled_at=now)
    for number in range(LIVE):
        every_slot("1", kind="seconds_interval", name=f"live{number}", at=now)
    first = past.next_session_time - SLOTS * timedelta(minutes=5)
    plan = backfill(schedule_id=past.pk, attempt_name="again", from_time=first, dry_run=False, now=now)
    worker(), worker(), beat()

    mine = Attempt.objects.filter(backfill=plan.backfill)
    wait_until(lambda: not mine.live().exists(), 4 * PATIENCE)
    Schedule.objects.update(disabled_at=datetime.now(UTC))
    wait_until(lambda: not Attempt.objects.live().exists(), PATIENCE)

    assert set(Attempt.objects.values_list("status", "deliveries")) == {("success", 1)}
    starts = rows(STARTS)
    backfilled = [pk for lane, pk in starts if lane == Lane.BACKFILL and mine.filter(pk=pk).exists()]
    assert backfilled == list(mine.order_by("session__session_time").values_list("pk", flat=True))
    assert len(backfilled) == SLOTS
    # No scheduled start waits for the backlog: a twentieth of it at the most passes by, and seldom more than a few.
    overtaken = sorted(count for (count,) in rows(OVERTAKEN))
    assert overtaken[-1] < SLOTS / 20
    # And the schedules leave room: of twelve claims that meet, one is the backfill's.
    beside = [lane for lane, _ in starts]
    span = beside[beside.index(Lane.SCHEDULED) : len(beside) - beside[::-1].index(Lane.SCHEDULED)]
    assert span.count(Lane.BACKFILL) >= len(span) / 12
    nothing_broken()


def test_without_workers_the_broker_and_the_pages_stay_as_they_are_and_then_the_lanes_share(
    worker: Start,
    beat: Start,
    make_schedule: Start,
    make_definition: Start,
    api_key: str,
    at_rest: Start,
    nothing_broken: Start,
    wait_until: Start,
) -> None:
    definition = make_definition("waiting", project="faults")
    released = datetime.now(UTC) - timedelta(minutes=2)
    for lane in Lane:
        for number in range(60):
            at = released - timedelta(minutes=number, hours=list(Lane).index(lane))
            session = Session.objects.create(workflow=definition.workflow, session_time=at, created_at=released)
            row = {"lane": lane, "created_at": released, "released_at": released, "index": 1}
            Attempt.objects.create(session=session, workflow=definition.workflow, definition=definition, **row)
            dispatch.send(lane, settings.HINDCAST_DOORBELLS)
    beat()  # the bells are there before it looks: two that look at the same moment may both ring
    wait_until(lambda: Heartbeat.objects.filter(kind=Heartbeat.Kind.BEAT).exists(), PATIENCE)
    client = Client(headers={"Authorization": f"Bearer {api_key}"})

    health, metrics = client.get("/healthz"), client.get("/metrics")

    held, most = [dispatch.doorbells(lane) for lane in Lane], 2 * settings.HINDCAST_DOORBELLS
    assert all(0 < bells <= most for bells in held), (held, most)
    assert client.get("/api/attempts").status_code == 200
    assert health.json()["queue"]["status"] == "late"
    assert oldest_seconds(metrics.content.decode()) >= 120
    worker()
    at_rest()
    first = [lane for lane, _ in rows(STARTS)][:48]
    assert [first.count(lane) for lane in (Lane.SCHEDULED, Lane.MANUAL, Lane.BACKFILL)] == pytest.approx(
        [32, 12, 4], abs=3
    )
    assert not Attempt.objects.exclude(status=AttemptStatus.SUCCESS).exists()
    nothing_broken()


def oldest_seconds(metrics: str) -> float:
    return max(
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith("hindcast_queue_oldest_seconds")
    )
