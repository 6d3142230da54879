"""Publishing a revision and adopting its schedules; enabling and disabling them."""

from datetime import UTC, datetime, timedelta

import pytest

from projects import archives, revisions
from projects.models import Project, Revision
from projects.revisions import RevisionTaken
from scheduler import attempts, schedules, ticker
from scheduler.attempts import Claim
from scheduler.backfill import ScheduleNotFound
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Pool, Schedule, Session, Skip
from scheduler.timetable import TimetableError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAILY = {"timezone": "Asia/Tokyo", "schedule": {"daily>": "07:00:00"}, "+a": {"echo>": "x"}}
HOURLY = {"schedule": {"cron>": "0 * * * *"}, "+a": {"echo>": "x"}}


def publish(name="r1", **documents):
    return revisions.publish(project_name="shop", revision_name=name, documents=documents, now=NOW)


def test_a_new_schedule_starts_with_the_next_session_that_runs(db):
    (schedule,) = schedules.adopt(publish(report=DAILY), now=NOW)

    assert schedule.next_session_time == datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    assert schedule.next_run_time == datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
    assert (schedule.kind, schedule.expression, schedule.timezone) == ("daily", "07:00:00", "Asia/Tokyo")


def test_a_schedule_takes_its_policies_from_the_file(db):
    document = {"schedule": {"daily>": "07:00:00", "catch_up": "latest", "overlap": "queue_one"}, "+a": {"echo>": "x"}}

    (schedule,) = schedules.adopt(publish(report=document), now=NOW)

    schedule.refresh_from_db()
    assert (schedule.catch_up, schedule.overlap) == ("latest", "queue_one")


def test_a_workflow_without_a_schedule_gets_none(db):
    assert schedules.adopt(publish(report={"+a": {"echo>": "x"}}), now=NOW) == []


def test_a_schedule_keeps_its_identity_across_revisions_and_goes_on_after_its_last_session(db):
    (first,) = schedules.adopt(publish(report=HOURLY), now=NOW)
    Schedule.objects.filter(pk=first.pk).update(last_session_time=NOW + timedelta(hours=3), disabled_at=NOW)

    (second,) = schedules.adopt(publish("r2", report=DAILY), now=NOW + timedelta(days=9))

    assert second.pk == first.pk
    assert second.definition.revision.name == "r2"
    assert second.disabled_at == NOW
    assert second.next_session_time == datetime(2026, 3, 3, 15, 0, tzinfo=UTC)


def test_what_was_skipped_does_not_come_due_again_with_a_new_revision(db):
    (schedule,) = schedules.adopt(publish(report=HOURLY), now=NOW)
    Schedule.objects.filter(pk=schedule.pk).update(last_session_time=NOW + timedelta(hours=1))
    Skip.objects.create(
        schedule=schedule, session_time=NOW + timedelta(hours=2), reason="overtime", created_at=NOW + timedelta(hours=2)
    )

    (again,) = schedules.adopt(publish("r2", report=HOURLY), now=NOW + timedelta(hours=2, minutes=5))

    assert again.next_session_time == NOW + timedelta(hours=3)


def test_what_came_due_before_the_first_tick_is_still_due_with_a_new_revision(db):
    (schedule,) = schedules.adopt(publish(report=HOURLY), now=NOW + timedelta(minutes=5))

    (again,) = schedules.adopt(publish("r2", report=HOURLY), now=NOW + timedelta(hours=4, minutes=5))

    assert again.next_session_time == schedule.next_session_time == NOW + timedelta(hours=1)


def test_a_new_timetable_goes_on_from_what_is_due_and_was_never_started(db):
    schedules.adopt(publish(report=HOURLY), now=NOW + timedelta(minutes=5))
    often = {"schedule": {"cron>": "*/30 * * * *"}, "+a": {"echo>": "x"}}

    (again,) = schedules.adopt(publish("r2", report=often), now=NOW + timedelta(hours=4, minutes=5))

    assert again.next_session_time == NOW + timedelta(hours=1)


def test_a_schedule_that_never_ran_and_has_nothing_due_starts_as_if_it_were_new(db):
    schedules.adopt(publish(report=HOURLY), now=NOW + timedelta(minutes=5))
    later = NOW + timedelta(days=3)

    (again,) = schedules.adopt(publish("r2", report=HOURLY), now=NOW + timedelta(minutes=10), schedule_from=later)

    assert again.next_session_time == later


def test_a_cleared_schedule_starts_as_if_it_were_new_whatever_is_due(db):
    schedules.adopt(publish(report=HOURLY), now=NOW)

    later = NOW + timedelta(hours=4, minutes=5)
    (again,) = schedules.adopt(publish("r2", report=HOURLY), now=later, cleared=["report"])

    assert again.next_session_time == NOW + timedelta(hours=5)


def test_a_schedule_that_is_gone_from_the_revision_is_removed_and_its_sessions_stay(db, make_session):
    (schedule,) = schedules.adopt(publish(report=HOURLY), now=NOW)
    make_session(schedule, NOW)

    assert schedules.adopt(publish("r2", report={"+a": {"echo>": "x"}}), now=NOW) == []

    assert not Schedule.objects.exists()
    assert Session.objects.count() == 1


def test_a_schedule_that_is_not_one_is_refused_and_nothing_changes(db):
    schedules.adopt(publish(report=HOURLY), now=NOW)

    with pytest.raises(TimetableError):
        schedules.adopt(publish("r2", report={"schedule": {"cron>": "99 * * * *"}}), now=NOW)

    assert Schedule.objects.get().definition.revision.name == "r1"


def test_a_revision_name_is_taken_once_per_project_and_the_project_stays_as_it_was(db):
    publish(report=HOURLY)

    with pytest.raises(RevisionTaken, match="has a revision 'r1' already"):
        publish(other=HOURLY)


def test_two_projects_of_one_name_may_follow_each_other_in_time(db):
    revision = publish(report=HOURLY)
    Project.objects.update(deleted_at=NOW)

    assert publish(report=HOURLY).project_id != revision.project_id
    assert Revision.objects.count() == 2


def test_project_files_are_kept_once_by_content_and_come_back_as_they_were(tmp_path):
    files = {"tasks.py": b"x = 1\n", "sql/load.sql": "select 'ü'".encode()}

    name = archives.store(files)

    assert archives.store(dict(reversed(files.items()))) == name
    assert archives.store({**files, "tasks.py": b"x = 2\n"}) != name
    archives.extract(name, tmp_path)
    assert {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == files


def test_a_project_without_files_has_no_archive():
    assert archives.store({}) == ""


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\b", "", "a\0b"])
def test_a_file_outside_the_project_is_refused(path):
    with pytest.raises(archives.BadArchive):
        archives.store({path: b"x"})


def test_disabling_and_enabling_say_whether_they_changed_anything(schedule):
    assert schedules.disable(schedule.pk, now=NOW)
    assert not schedules.disable(schedule.pk, now=NOW)
    schedule.refresh_from_db()
    assert schedule.disabled_at == NOW

    assert schedules.enable(schedule.pk, now=NOW)
    assert not schedules.enable(schedule.pk, now=NOW)
    schedule.refresh_from_db()
    assert schedule.disabled_at is None


def test_a_pool_is_assigned_and_new_revisions_leave_it(db):
    pool = Pool.objects.create(name="narrow", slots=1)
    (schedule,) = schedules.adopt(publish(report=HOURLY), now=NOW)

    assert schedules.assign_pool(schedule.pk, pool.pk, now=NOW)
    assert not schedules.assign_pool(schedule.pk, pool.pk, now=NOW)
    (again,) = schedules.adopt(publish("r2", report=DAILY), now=NOW, cleared=["report"])

    again.refresh_from_db()
    assert (again.pk, again.pool) == (schedule.pk, pool)
    assert schedules.assign_pool(schedule.pk, None, now=NOW)
    again.refresh_from_db()
    assert again.pool is None


def test_a_scheduled_session_waits_for_a_slot_of_the_pool_that_was_assigned(schedule, make_attempt):
    pool = Pool.objects.create(name="narrow", slots=1)
    schedules.assign_pool(schedule.pk, pool.pk, now=NOW)
    running = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING, pool=pool)

    ticker.tick(now=NOW + timedelta(hours=1))
    waiting = Attempt.objects.get(session__session_time=NOW + timedelta(hours=1))
    assert (waiting.pool, waiting.released_at) == (pool, None)

    attempts.succeed(Claim(running.pk, running.lease_token), now=NOW + timedelta(hours=2))
    waiting.refresh_from_db()
    assert waiting.released_at == NOW + timedelta(hours=2)


def test_a_pool_or_a_schedule_that_is_not_there_is_named_and_nothing_changes(schedule):
    with pytest.raises(InvalidInput) as refused:
        schedules.assign_pool(schedule.pk, 12, now=NOW)
    with pytest.raises(ScheduleNotFound):
        schedules.assign_pool(schedule.pk + 1, None, now=NOW)

    assert refused.value.errors == {"pool_id": ["There is no pool 12."]}
    assert Schedule.objects.get().pool is None


def test_a_session_that_ran_before_is_not_recorded_as_skipped(schedule, make_attempt):
    make_attempt(schedule, NOW + timedelta(hours=2), name="by hand")

    skipped = schedules.skip(schedule.pk, schedules.Target(NOW + timedelta(hours=4)), now=NOW)

    assert len(skipped.slots) == 3
    recorded = Skip.objects.order_by("session_time").values_list("session_time", flat=True)
    assert list(recorded) == [NOW + timedelta(hours=hour) for hour in (1, 3)]
