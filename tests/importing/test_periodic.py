"""Periodic tasks of Celery become workflows: the same call at the same times; the originals stop only when asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.models import ClockedSchedule, PeriodicTask, PeriodicTasks, SolarSchedule

from projects import archives
from projects.models import Project, Revision
from scheduler.errors import InvalidInput
from scheduler.importing.periodic import TasksRefused, Tracking, track
from scheduler.importing.takeover import Change, ProjectMoved, existing
from scheduler.models import Schedule
from scheduler.pushing import push

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

Make = Callable[..., PeriodicTask]
Track = Callable[..., Tracking]


def times(count: int = 50) -> list[datetime]:
    """The run times of the one schedule that is there, from NOW on."""
    timetable = Schedule.objects.get().timetable
    first = timetable.first(NOW)
    assert first
    slots = timetable.between(first.session_time, None)
    return [slot.run_time for slot, _ in zip(slots, range(count), strict=False)]


def as_celery(task: PeriodicTask, count: int = 50) -> list[datetime]:
    """When beat would send it, from NOW on, by Celery's own arithmetic."""
    zone = task.crontab.timezone
    rule = task.crontab.schedule
    found = [NOW - timedelta(minutes=1)]
    for _ in range(count):
        rule.nowfun = lambda: found[-1].astimezone(zone)
        start, ends_in, _ = rule.remaining_delta(found[-1].astimezone(zone))
        found.append((start + ends_in).astimezone(UTC))
    return found[1:]


def text(name: str = "Nightly_totals") -> str:
    return existing("tracked").files[f"{name}.dig"].decode()


# --- times --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "timezone"),
    [
        ("0 3 * * *", "UTC"),
        ("30 7 * * mon-fri", "Asia/Tokyo"),
        ("*/20 9-11 * * *", "Europe/London"),
        ("0 0 13 * 5", "UTC"),
        ("15 */6 1-7 jan,jul sunday", "America/Los_Angeles"),
        ("0 22-2/2 * * *", "Asia/Tokyo"),
        ("5 4 */10 2-12/2 *", "UTC"),
        ("0 12 * * fri-mon", "UTC"),
        ("3,7-9 1 1 1 *", "UTC"),
    ],
)
def test_a_crontab_keeps_its_times_in_its_zone(make_periodic: Make, track_all: Track, cron: str, timezone: str) -> None:
    task = make_periodic(cron, timezone=timezone)

    track_all()

    assert Schedule.objects.get().timezone == timezone
    # In the zones of summer time, up to the first change of the clocks, where Hindcast has a rule of its own.
    end = datetime(2026, 3, 8, tzinfo=UTC) if timezone in ("Europe/London", "America/Los_Angeles") else None
    assert [at for at in times() if end is None or at < end] == [
        at for at in as_celery(task) if end is None or at < end
    ]


def test_what_is_read_the_same_stays_as_it_is_written(make_periodic: Make, track_all: Track) -> None:
    make_periodic("*/15 9-17 * * mon-fri")

    track_all()

    assert "cron>: '*/15 9-17 * * mon-fri'" in text()


@pytest.mark.parametrize(
    ("every", "seconds"), [((5, "minutes"), 300), ((7, "minutes"), 420), ((30, "seconds"), 30), ((2, "days"), 172_800)]
)
def test_an_interval_has_sessions_of_its_own_time_and_says_so(
    make_periodic: Make, track_all: Track, every: tuple[int, str], seconds: int
) -> None:
    make_periodic(every=every)

    tracking = track_all()

    found = times(10)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(seconds=seconds)}
    assert all(at.timestamp() % seconds == 0 for at in found)
    assert f"Beat counts every {every[0]} {every[1]} from its last run" in tracking.tracked[0].draft.notes[0]


# --- the call -----------------------------------------------------------------------------------------------------


def test_the_call_is_the_same(make_periodic: Make, track_all: Track) -> None:
    make_periodic(
        args='[1, "007", null, {"a": [true, 0.5]}]',
        kwargs='{"region": "eu: west", "price": "5 $$", "yes": "yes", "<<": 1}',
        queue="reports",
        description="Adds up.\nEvery night.",
    )

    track_all()

    assert text() == (
        "# Tracks the periodic task 'Nightly totals'; tracking it again writes this file again.\n"
        "# Adds up.\n"
        "# Every night.\n"
        "timezone: UTC\n"
        "\n"
        "schedule:\n"
        "  cron>: 0 3 * * *\n"
        "  catch_up: latest\n"
        "\n"
        "+run:\n"
        "  celery>: tests.shop.tasks.total\n"
        "  args:\n"
        "  - 1\n"
        "  - '007'\n"
        "  - null\n"
        "  - a:\n"
        "    - true\n"
        "    - 0.5\n"
        "  kwargs:\n"
        "    region: 'eu: west'\n"
        "    price: 5 $$$$\n"
        "    'yes': 'yes'\n"
        "    '<<': 1\n"
        "  queue: reports\n"
    )


def test_messages_that_expired_are_sessions_that_are_skipped(make_periodic: Make, track_all: Track) -> None:
    make_periodic(expire_seconds=90)

    track_all()

    assert Schedule.objects.get().skip_delayed_by == 90


def test_what_is_lost_is_said(make_periodic: Make, track_all: Track) -> None:
    make_periodic(priority=3, headers='{"a": 1}')

    notes = track_all().tracked[0].draft.notes

    assert "Its priority is not taken along." in notes
    assert "Its headers are not taken along." in notes


# --- beginning and end ----------------------------------------------------------------------------------------------


def test_a_start_and_an_end_at_midnights_of_the_zone_are_kept(make_periodic: Make, track_all: Track) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    make_periodic(
        timezone="Asia/Tokyo",
        start_time=datetime(2026, 4, 1, tzinfo=tokyo),
        expires=datetime(2026, 4, 11, tzinfo=tokyo),
    )

    track_all()

    found = [at.astimezone(tokyo) for at in times()]
    assert (found[0], found[-1]) == (datetime(2026, 4, 1, 3, tzinfo=tokyo), datetime(2026, 4, 10, 3, tzinfo=tokyo))


def test_a_start_that_lies_behind_means_nothing(make_periodic: Make, track_all: Track) -> None:
    make_periodic(start_time=NOW - timedelta(days=1))

    track_all()

    assert "start:" not in text()


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"args": "[1"}, "Its args are no JSON"),
        ({"kwargs": "[1]"}, "Its kwargs are not a mapping: [1]."),
        ({"args": '{"a": 1}'}, "Its args are not a list"),
        ({"args": "[NaN]"}, "NaN is no number of JSON"),
        ({"args": "[" * 5000 + "]" * 5000}, "Its args are nested more than 20 deep."),
        ({"kwargs": '{"a": ' * 30 + "1" + "}" * 30}, "Its kwargs are nested more than 20 deep."),
        ({"kwargs": '{"a": "${b}"}'}, "There is a ${ in its kwargs"),
        ({"args": "[1e-9]"}, "A .dig file cannot hold it as it is"),
        ({"args": "[123456789012345678901234567890]"}, "A .dig file cannot hold it as it is"),
        ({"one_off": True}, "It runs once"),
        ({"expires": NOW - timedelta(days=1)}, "It expired at 2026-03-01 12:00 UTC."),
        ({"expires": NOW + timedelta(hours=1)}, "before it would run again"),
        ({"every": (1, "hours"), "expires": NOW + timedelta(hours=5, minutes=30)}, "Set its end to a midnight."),
        ({"start_time": NOW + timedelta(days=1)}, "Set its start to a midnight."),
        ({"every": (5, "microseconds")}, "below a second"),
        ({"every": (2_000_000_000, "days")}, "longer than the calendar"),
        ({"every": (400, "days")}, "from 1 to"),
        ({"cron": "0 0 * * 7"}, "Celery itself cannot read its crontab"),
        ({"cron": "0 0 * foo *"}, "Celery itself cannot read its crontab"),
        ({"exchange": "other"}, "an exchange of its own"),
        ({"routing_key": "other"}, "a routing key of its own"),
        ({"task": "tests.shop.tasks.totl"}, "did you mean tests.shop.tasks.total?"),
        ({"queue": "backfill"}, "name a queue of yours"),
    ],
)
def test_a_row_that_cannot_be_tracked_gets_its_answer(
    make_periodic: Make, track_all: Track, fields: dict[str, Any], reason: str
) -> None:
    make_periodic(**fields)

    with pytest.raises(TasksRefused) as refused:
        track_all()

    [refusal] = refused.value.refusals
    assert reason in refusal.reason
    assert refused.value.message.startswith("1 periodic task cannot be tracked:\nNightly totals: ")
    assert not Project.objects.exists()


@pytest.mark.django_db
def test_the_sun_and_single_moments_are_no_schedules(make_periodic: Make, track_all: Track) -> None:
    sun = SolarSchedule.objects.create(event="sunrise", latitude=52, longitude=13)
    moment = ClockedSchedule.objects.create(clocked_time=NOW + timedelta(days=1))
    make_periodic(None, name="sun", solar=sun)
    PeriodicTask.objects.bulk_create([PeriodicTask(name="none"), PeriodicTask(name="moment", clocked=moment)])

    with pytest.raises(TasksRefused) as refused:
        track_all()

    assert [refusal.reason.split(":")[0].split(",")[0] for refusal in refused.value.refusals] == [
        "It follows the sun",
        "It has no schedule",
        "It runs at one moment alone",
    ]


def test_the_others_are_tracked_when_asked_for(make_periodic: Make, track_all: Track) -> None:
    make_periodic(name="bad", args="{")
    make_periodic(name="good")

    tracking = track_all(skip_refused=True)

    assert [refusal.task.name for refusal in tracking.refusals] == ["bad"]
    assert [one.task.name for one in tracking.tracked] == ["good"]


def test_rows_that_beat_itself_could_not_save_are_refused(make_periodic: Make, track_all: Track) -> None:
    both, twice = make_periodic(name="both"), make_periodic(name="twice")
    interval = make_periodic(name="interval", every=(5, "minutes")).interval
    PeriodicTask.objects.filter(pk=both.pk).update(interval=interval)
    PeriodicTask.objects.filter(pk=twice.pk).update(expires=NOW + timedelta(days=9), expire_seconds=3)

    tracking = track_all(skip_refused=True, switch_off=True)

    assert [str(refusal).split(",")[0] for refusal in tracking.refusals] == [
        "both: It has more than one schedule",
        "twice: It expires in two ways",
    ]
    assert tracking.switched_off == ("interval",)


def test_a_file_that_was_renamed_by_hand_does_not_run_beside_its_task(make_periodic: Make, track_all: Track) -> None:
    make_periodic()
    track_all()
    with archives.pack({"mine.dig": text().encode()}) as upload:
        push(project_name="tracked", revision_name="by hand", upload=upload, now=NOW)

    tracking = track_all()

    assert [(step.name, step.change) for step in tracking.comparison.steps] == [
        ("Nightly_totals", Change.ADDED),
        ("mine", Change.REMOVED),
    ]
    assert Schedule.objects.get().workflow.name == "Nightly_totals"


@pytest.mark.django_db
def test_a_bad_name_for_the_project_is_refused(make_periodic: Make, track_all: Track) -> None:
    make_periodic()

    with pytest.raises(InvalidInput):
        track_all(project_name="a/b", dry_run=True)


# --- the original -------------------------------------------------------------------------------------------------


def test_the_original_goes_on_unless_told(make_periodic: Make, track_all: Track) -> None:
    task = make_periodic()

    tracking = track_all()

    task.refresh_from_db()
    assert task.enabled
    assert Schedule.objects.get().disabled_at is None
    assert list(tracking.sentences()) == [
        "Runs twice, by beat and by its schedule, until one of the two is switched off: Nightly totals."
    ]


def test_the_original_is_switched_off_when_asked_and_beat_is_told(make_periodic: Make, track_all: Track) -> None:
    task = make_periodic(last_run_at=NOW)
    before = PeriodicTasks.last_change()

    tracking = track_all(switch_off=True)

    task.refresh_from_db()
    assert (task.enabled, task.last_run_at) == (False, None)
    assert PeriodicTasks.last_change() > before
    assert list(tracking.sentences()) == ["Was switched off in beat: Nightly totals."]


def test_what_was_off_stays_off(make_periodic: Make, track_all: Track) -> None:
    make_periodic(enabled=False)

    tracking = track_all()

    assert Schedule.objects.get().disabled_at == NOW
    assert list(tracking.sentences()) == [
        "The schedule starts switched off, as the original is: Nightly_totals.",
    ]


def test_tracking_again_leaves_the_schedule_on_though_the_original_is_off(
    make_periodic: Make, track_all: Track
) -> None:
    make_periodic()
    track_all(switch_off=True)

    again = track_all()

    assert again.revision is None
    assert [one.step.change for one in again.tracked] == [Change.SAME]
    assert Schedule.objects.get().disabled_at is None


def test_a_refusal_leaves_the_originals_as_they_were(make_periodic: Make, track_all: Track) -> None:
    good = make_periodic(name="good")
    make_periodic(name="bad", args="{")

    with pytest.raises(TasksRefused):
        track_all(switch_off=True)

    good.refresh_from_db()
    assert good.enabled


def test_a_dry_run_says_the_same_and_writes_nothing(make_periodic: Make, track_all: Track) -> None:
    task = make_periodic()

    planned = track_all(dry_run=True, switch_off=True)

    task.refresh_from_db()
    assert task.enabled
    assert not Project.objects.exists()
    assert list(planned.sentences(is_dry=True)) == ["Would be switched off in beat: Nightly totals."]
    assert planned.comparison == track_all(switch_off=True).comparison


# --- together and again -------------------------------------------------------------------------------------------


def test_one_after_the_other_they_share_the_project(make_periodic: Make, track_all: Track) -> None:
    first, second = make_periodic(name="a b"), make_periodic(name="a/b", cron="0 4 * * *")
    for task in (first, second):
        track([task], project_name="tracked", now=NOW)

    assert set(Schedule.objects.values_list("workflow__name", "expression")) == {
        ("a_b", "0 3 * * *"),
        ("a_b_2", "0 4 * * *"),
    }
    assert track_all().revision is None


def test_a_change_of_the_original_changes_its_workflow_alone(make_periodic: Make, track_all: Track) -> None:
    make_periodic(name="other")
    task = make_periodic(kwargs='{"times": 2}')
    track_all()
    before = Schedule.objects.get(workflow__name="Nightly_totals").pk
    task.kwargs = '{"times": 3}'
    task.save()

    tracking = track_all()

    assert [one.step.change for one in tracking.tracked] == [Change.SAME, Change.CHANGED]
    assert Schedule.objects.get(workflow__name="Nightly_totals").pk == before
    assert "times: 3" in text()


def test_what_somebody_else_saw_is_not_done(make_periodic: Make, track_all: Track) -> None:
    task = make_periodic()
    seen = track_all(dry_run=True).comparison.fingerprint
    task.kwargs = '{"times": 3}'
    task.save()

    with pytest.raises(ProjectMoved):
        track_all(seen=seen, switch_off=True)

    task.refresh_from_db()
    assert task.enabled
    assert not Project.objects.exists()


def test_a_row_that_changed_since_it_was_read_is_not_tracked(make_periodic: Make) -> None:
    task = make_periodic()
    PeriodicTask.objects.filter(pk=task.pk).update(kwargs='{"times": 9}')

    with pytest.raises(ProjectMoved):
        track([task], project_name="tracked", switch_off=True, now=NOW)

    assert not Revision.objects.exists()


def test_a_row_that_is_gone_is_not_tracked(make_periodic: Make) -> None:
    task = make_periodic()
    PeriodicTask.objects.filter(pk=task.pk).delete()

    with pytest.raises(ProjectMoved):
        track([task], project_name="tracked", now=NOW)
