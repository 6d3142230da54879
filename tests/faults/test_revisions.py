"""New revisions, one after the other, while ticks and attempts are under way: F22."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from projects.revisions import publish
from scheduler.models import Attempt, LogChunk, Schedule, Session
from scheduler.schedules import adopt
from scheduler.timetable import parse_schedule
from tests.faults.conftest import PATIENCE

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres, pytest.mark.long]

Start = Callable[..., Any]
REVISIONS = 40


def publish_revision(number: int) -> None:
    """Every second, or every two: a slot of an even second is due by each of them."""
    document = {"schedule": {"seconds_interval>": 1 + number % 2}, "+say": {"echo>": f"revision r{number}"}}
    now = datetime.now(UTC)
    revision = publish(project_name="moving", revision_name=f"r{number}", documents={"wf": document}, now=now)
    adopt(revision, now=now)


def test_revisions_that_follow_each_other_lose_no_session_and_each_attempt_runs_its_own(
    worker: Start, beat: Start, at_rest: Start, wait_until: Start, nothing_broken: Start
) -> None:
    publish_revision(0)
    worker(), beat()
    wait_until(lambda: Session.objects.exists(), PATIENCE)

    for number in range(1, REVISIONS):
        publish_revision(number)
        if number % 4 == 0:
            there = Session.objects.count()
            wait_until(lambda: Session.objects.count() > there, PATIENCE)  # noqa: B023
    Schedule.objects.update(disabled_at=datetime.now(UTC))

    at_rest()
    times = list(Session.objects.order_by("session_time").values_list("session_time", flat=True))
    even = [at for at in times if at.timestamp() % 2 == 0]
    assert [(b - a).total_seconds() for a, b in pairwise(even)] == [2.0] * (len(even) - 1)
    for attempt in Attempt.objects.select_related("session", "definition__revision"):
        timetable = parse_schedule(attempt.definition.document["schedule"], "UTC").timetable
        slot = timetable.first(attempt.session.session_time)
        assert slot is not None
        assert slot.session_time == attempt.session.session_time
        said = "".join(LogChunk.objects.filter(attempt=attempt).values_list("text", flat=True))
        assert f"revision {attempt.definition.revision.name}\n" in said + "\n"
    nothing_broken()
