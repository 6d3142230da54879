"""The schedules of Digdag's page on scheduling, written anew: when a workflow that was just pushed runs first."""

from collections.abc import Callable
from datetime import datetime

import pytest

from projects.models import Revision
from scheduler.models import Schedule, Session, Skip
from scheduler.ticker import tick

pytestmark = pytest.mark.django_db

PUSHED = "2026-02-24T14:20:10+09:00"  # a Tuesday


@pytest.fixture
def scheduled(push: Callable[..., Revision], write: Callable[..., str]) -> Callable[..., Schedule]:
    """scheduled("daily>: 07:00:00", at="…"): the schedule of a workflow that was pushed then."""

    def make(*lines: str, at: str = PUSHED) -> Schedule:
        text = "\n".join(
            ["timezone: Asia/Tokyo", "schedule:", *(f"  {line}" for line in lines), "+a:", "  echo>: x", ""]
        )
        push(write({"timed.dig": text}), now=datetime.fromisoformat(at))
        return Schedule.objects.get()

    return make


@pytest.mark.parametrize(
    ("kind", "session_time", "run_time"),
    [
        ("hourly>: 40:05", "2026-02-24T14:00:00+09:00", "2026-02-24T14:40:05+09:00"),
        ("hourly>: 10:05", "2026-02-24T15:00:00+09:00", "2026-02-24T15:10:05+09:00"),
        ("daily>: 11:40:05", "2026-02-25T00:00:00+09:00", "2026-02-25T11:40:05+09:00"),
        ("weekly>: Sun,09:00:00", "2026-03-01T00:00:00+09:00", "2026-03-01T09:00:00+09:00"),
        ("weekly>: 3,11:40:05", "2026-02-25T00:00:00+09:00", "2026-02-25T11:40:05+09:00"),
        ("monthly>: 1,09:00:00", "2026-03-01T00:00:00+09:00", "2026-03-01T09:00:00+09:00"),
        ("minutes_interval>: 30", "2026-02-24T14:30:00+09:00", "2026-02-24T14:30:00+09:00"),
        ("cron>: 42 4 1 * *", "2026-03-01T04:42:00+09:00", "2026-03-01T04:42:00+09:00"),
        ('cron>: "*/7 * * * *"', "2026-02-24T14:21:00+09:00", "2026-02-24T14:21:00+09:00"),
    ],
)
def test_a_schedule_runs_first_when_the_documentation_says(
    scheduled: Callable[..., Schedule], kind: str, session_time: str, run_time: str
) -> None:
    schedule = scheduled(kind)

    assert schedule.next_session_time == datetime.fromisoformat(session_time)
    assert schedule.next_run_time == datetime.fromisoformat(run_time)


def test_a_start_and_an_end_are_days_that_count(scheduled: Callable[..., Schedule]) -> None:
    schedule = scheduled("daily>: 07:00:00", "start: 2026-03-02", "end: 2026-03-03")

    assert schedule.next_run_time == datetime.fromisoformat("2026-03-02T07:00:00+09:00")
    for day in ("02", "03", "04"):
        tick(now=datetime.fromisoformat(f"2026-03-{day}T08:00:00+09:00"))
    schedule.refresh_from_db()
    assert schedule.next_run_time is None
    assert Session.objects.count() == 2


def test_what_is_delayed_by_more_than_the_workflow_allows_is_skipped(scheduled: Callable[..., Schedule]) -> None:
    scheduled("minutes_interval>: 1", "skip_delayed_by: 3m", at="2026-02-24T19:50:30+09:00")

    tick(now=datetime.fromisoformat("2026-02-24T20:00:00+09:00"))

    ran = [f"{session.session_time:%H:%M}" for session in Session.objects.order_by("session_time")]
    assert ran == ["10:57", "10:58", "10:59", "11:00"]
    assert set(Skip.objects.values_list("reason", flat=True)) == {"delayed"}
    assert Skip.objects.count() == 6
