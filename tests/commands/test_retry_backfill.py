"""`manage.py retry_backfill`: what failed of a backfill, run again, and an exit status that tells."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule

Manage = Callable[..., Any]


@pytest.fixture
def row(schedule: Schedule, now: datetime) -> Backfill:
    """Three sessions: the first failed, the second did not, the third was killed."""
    from_time = now - timedelta(hours=2)
    plan = backfill(schedule_id=schedule.pk, attempt_name="again", from_time=from_time, dry_run=False, now=now)
    ended = (AttemptStatus.ERROR, AttemptStatus.SUCCESS, AttemptStatus.KILLED)
    for item, status in zip(plan.planned, ended, strict=True):
        Attempt.objects.filter(pk=item.attempt_id).update(status=status, finished_at=now)
    assert plan.backfill
    return plan.backfill


def test_what_failed_runs_again_under_the_name(manage: Manage, row: Backfill) -> None:
    said = manage("retry_backfill", row.pk, "--name", "mend")

    made = Backfill.objects.latest("pk")
    times = [line[0][:16] for line in said.cells[1:-1]]
    assert (said.code, said.err) == (0, "")
    assert times == ["2026-03-02 10:00", "2026-03-02 12:00"]
    assert said.out.endswith(f"2 more attempts. Backfill {made.pk}, named mend, runs them one after the other.\n")
    assert (made.name, made.attempts.count()) == ("mend", 2)


def test_a_dry_run_says_so_and_writes_nothing(manage: Manage, row: Backfill) -> None:
    said = manage("retry_backfill", row.pk, "--name", "mend", "--dry-run")

    assert said.out.endswith("2 more attempts. Nothing was run: this is a dry run.\n")
    assert Backfill.objects.count() == 1


def test_a_machine_gets_what_the_api_answers(manage: Manage, row: Backfill) -> None:
    planned = json.loads(manage("retry_backfill", row.pk, "--name", "mend", "-d", "--json").out)
    done = json.loads(manage("retry_backfill", row.pk, "--name", "mend", "--json").out)

    assert (planned["backfillId"], [entry["id"] for entry in planned["attempts"]]) == (None, ["0", "0"])
    assert done["backfillId"] == str(Backfill.objects.latest("pk").pk)
    assert {entry["retryAttemptName"] for entry in done["attempts"]} == {"mend"}


def test_the_name_is_made_from_the_time_when_none_is_given(manage: Manage, row: Backfill) -> None:
    manage("retry_backfill", row.pk)

    assert Backfill.objects.latest("pk").name.startswith("retry-20")


def test_nothing_to_run_again_is_said_beside_the_data_and_is_no_error(manage: Manage, row: Backfill) -> None:
    manage("retry_backfill", row.pk, "--name", "mend")

    said = manage("retry_backfill", row.pk, "--name", "more")

    assert said == ("", "Nothing of it failed, or what did is being run again.\n", 0)
    assert Backfill.objects.count() == 2


def test_conflicts_are_listed_on_the_error_stream_with_exit_status_3(manage: Manage, row: Backfill) -> None:
    said = manage("retry_backfill", row.pk, "--name", "again")

    assert (said.code, said.out) == (3, "")
    assert said.err.count("already has this name") == 2
    assert said.err.endswith(
        "2 of 2 sessions already have an attempt named 'again', or one that is not done. Nothing was run."
    )


def test_bad_input_names_the_option_with_exit_status_1(manage: Manage, row: Backfill) -> None:
    said = manage("retry_backfill", row.pk, "--name", " ")

    assert (said.code, said.err) == (1, "--name: Give the attempts a name.")


@pytest.mark.django_db
def test_one_that_is_not_there_is_refused(manage: Manage) -> None:
    assert manage("retry_backfill", 7) == ("", "There is no backfill 7.", 1)


def test_one_whose_schedule_is_gone_is_refused(manage: Manage, row: Backfill, schedule: Schedule) -> None:
    schedule.delete()

    said = manage("retry_backfill", row.pk, "--name", "mend")

    assert (said.code, said.err) == (1, "The schedule of the backfill “again” is not there any more.")
