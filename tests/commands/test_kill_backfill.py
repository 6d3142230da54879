"""A backfill is killed from the command line."""

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from scheduler.backfill import backfill
from scheduler.models import Attempt, Backfill, Schedule


@pytest.fixture
def row(schedule: Schedule, now: datetime) -> Backfill:
    from_time = now - timedelta(hours=2)
    plan = backfill(schedule_id=schedule.pk, attempt_name="again", from_time=from_time, dry_run=False, now=now)
    assert plan.backfill
    return plan.backfill


def run(*arguments: object) -> str:
    out = StringIO()
    call_command("kill_backfill", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_it_says_how_many_were_killed(row: Backfill) -> None:
    said = run(row.pk)

    assert said == "again: 3 attempts are being killed. No other starts.\n"
    assert set(Attempt.objects.values_list("status", flat=True)) == {"killed"}
    assert run(row.pk) == "again: All of its attempts are done already.\n"


def test_a_dry_run_kills_nothing(row: Backfill) -> None:
    said = run(row.pk, "--dry-run")

    assert "3 attempts wait, and are killed at once." in said
    assert set(Attempt.objects.values_list("status", flat=True)) == {"queued"}


@pytest.mark.django_db
def test_one_that_is_not_there_is_refused() -> None:
    with pytest.raises(CommandError, match="There is no backfill 7"):
        run(7)
