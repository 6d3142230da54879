"""`manage.py backfill`: the same table as the preview, and an exit status that tells."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from scheduler.backfill import backfill
from scheduler.models import Attempt, Backfill, Pool, Schedule, Session
from scheduler.web.plan_table import HEADINGS, plan_table

FROM = "2026-03-02T09:00:00Z"


def run(schedule: Schedule | int, *arguments: str, errors: StringIO | None = None) -> str:
    output = StringIO()
    number = schedule if isinstance(schedule, int) else schedule.pk
    call_command("backfill", str(number), *arguments, stdout=output, stderr=errors or StringIO())
    return output.getvalue()


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


@pytest.fixture
def asked() -> dict[str, object]:
    return {"attempt_name": "again", "from_time": datetime(2026, 3, 2, 9, tzinfo=UTC), "now": datetime.now(UTC)}


def test_prints_the_rows_of_the_plan_and_a_summary(schedule: Schedule, asked: dict[str, object]) -> None:
    table = plan_table(backfill(schedule_id=schedule.pk, dry_run=True, **asked), limit=None)

    printed = cells(run(schedule, "--from", FROM, "--name", "again"))

    assert printed[0] == list(HEADINGS)
    assert printed[1:-1] == [[cell for cell in row.cells if cell] for row in table.rows]
    row = Backfill.objects.get()
    assert printed[-1] == [
        f"{table.for_people}. {table.counts}. Backfill {row.pk}, named again, runs them one after the other."
    ]
    assert list(row.attempts.values_list("name", flat=True)) == ["again"] * len(table.rows)


def test_what_failed_before_a_time_is_run_three_at_once(
    schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    for hours in (3, 2, 1):
        make_attempt(schedule, now - timedelta(hours=hours), status="error" if hours > 1 else "success")

    printed = run(
        schedule,
        "--from",
        FROM,
        "--to",
        "2026-03-02 12:00",
        "--only",
        "failed",
        "--concurrency",
        "3",
        "--name",
        "again",
    )

    row = Backfill.objects.get()
    assert (row.sessions, row.only, row.to_time, row.concurrency) == (2, "failed", now, 3)
    assert printed.endswith(f"2 more attempts, 1 left out. Backfill {row.pk}, named again, runs them 3 at once.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "soon"], "--to: Write a time"),
        (["--to", "2026-03-01"], "--to: The time to stop at is not after"),
        (["--only", "some"], "invalid"),
        (["--concurrency", "0"], "--concurrency: 0 at once"),
    ],
)
def test_a_wrong_choice_is_refused_naming_the_option(schedule: Schedule, arguments: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run(schedule, "--from", FROM, *arguments)

    assert not Backfill.objects.exists()


def test_a_machine_gets_what_the_api_answers(schedule: Schedule) -> None:
    planned = json.loads(run(schedule, "--from", FROM, "--name", "again", "--count", "2", "--json", "-d"))
    assert not Session.objects.exists()
    done = json.loads(run(schedule, "--from", FROM, "--name", "again", "--count", "2", "--json"))

    assert [attempt["id"] for attempt in planned["attempts"]] == ["0", "0"]
    assert [attempt["id"] for attempt in done["attempts"]] == [str(row.pk) for row in Attempt.objects.order_by("pk")]
    assert (planned["backfillId"], done["backfillId"]) == (None, str(Backfill.objects.get().pk))
    assert (done["id"], done["workflow"]["name"]) == (str(schedule.pk), "hourly_report")


def test_a_dry_run_says_so_and_writes_nothing(schedule: Schedule) -> None:
    printed = run(schedule, "--from", FROM, "--dry-run")

    assert printed.endswith("Nothing was run: this is a dry run.\n")
    assert not Session.objects.exists()


def test_a_local_time_is_read_in_the_zone_of_the_schedule(make_schedule: Callable[..., Schedule]) -> None:
    schedule = make_schedule(timezone="Asia/Tokyo")

    run(schedule, "--from", "2026-03-02 18:00", "--count", "2")

    first, second = Session.objects.order_by("session_time").values_list("session_time", flat=True)
    assert first == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert second == first + timedelta(hours=1)


def test_the_name_is_made_from_the_time_when_none_is_given(schedule: Schedule) -> None:
    run(schedule, "--from", FROM, "--count", "1")

    made = Attempt.objects.get().name
    assert abs(datetime.strptime(made, "backfill-%Y-%m-%dT%H%M%S%z") - datetime.now(UTC)) < timedelta(minutes=1)


def test_nothing_to_run_is_said_and_is_no_error(schedule: Schedule) -> None:
    printed = run(schedule, "--from", "2026-03-05")

    assert "There is nothing to run." in printed
    assert not Backfill.objects.exists()


def test_conflicts_are_listed_on_the_error_stream_with_exit_status_3(schedule: Schedule) -> None:
    run(schedule, "--from", FROM, "--name", "again", "--count", "2")
    errors = StringIO()

    with pytest.raises(CommandError, match="2 of 4 sessions already have an attempt") as refused:
        run(schedule, "--from", FROM, "--name", "again", errors=errors)

    assert refused.value.returncode == 3
    assert errors.getvalue().count("conflict") == 2
    assert Attempt.objects.count() == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "yesterday"], "--from: Write a time such as"),
        (["--from", "2026-02-30"], "--from: .* is not on the calendar"),
        (["--from", FROM, "--count", "0"], "--count: The count is 0"),
        (["--from", FROM, "--count", "99"], "--count: The count is 99, but there are only"),
        (["--from", FROM, "--name", " "], "--name: Give the attempts a name"),
        (["--from", FROM, "--name", "x" * 256], "--name: The name has 256 characters"),
        (["--from", "1970-01-01"], "--from: From this time there are more than"),
    ],
)
def test_bad_input_names_the_option_with_exit_status_1(schedule: Schedule, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as refused:
        run(schedule, *arguments)

    assert refused.value.returncode == 1
    assert not Session.objects.exists()


@pytest.mark.django_db
def test_an_unknown_schedule_is_refused_with_exit_status_1() -> None:
    with pytest.raises(CommandError, match="There is no schedule 404") as refused:
        run(404, "--from", FROM)

    assert refused.value.returncode == 1


def test_a_deleted_project_has_no_schedules(schedule: Schedule, now: datetime) -> None:
    project = schedule.workflow.project
    project.deleted_at = now
    project.save()

    with pytest.raises(CommandError, match=f"There is no schedule {schedule.pk}"):
        run(schedule, "--from", FROM)


def test_a_pool_is_named(schedule: Schedule) -> None:
    pool = Pool.objects.create(name="narrow", slots=1)

    run(schedule, "--from", FROM, "--pool", "narrow")

    assert Backfill.objects.get().pool == pool
    with pytest.raises(CommandError, match="There is no pool 'wide'"):
        run(schedule, "--from", FROM, "--pool", "wide")
