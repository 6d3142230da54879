"""What must always hold is held by the database, by name."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from projects.models import ApiKey, Project, Revision, Workflow
from scheduler.models import Attempt, AttemptStatus, Session, Skip, TaskRun
from scheduler.models.bulk import insert_many

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def refused(action):
    """The message of the IntegrityError that `action` runs into."""
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        action()
    return str(error.value)


def names(message, constraint, column, *, is_postgres):
    return constraint in message if is_postgres else constraint in message or column in message


def test_one_session_per_slot(schedule, make_session, is_postgres):
    make_session(schedule, NOW)

    message = refused(lambda: make_session(schedule, NOW))

    assert names(message, "session_unique_per_slot", "session_time", is_postgres=is_postgres)


def test_one_live_attempt_per_session(schedule, make_attempt, is_postgres):
    first = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)

    message = refused(lambda: make_attempt(schedule, NOW, status=AttemptStatus.QUEUED, name="b", is_latest=False))

    assert names(message, "attempt_one_live_per_session", "session_id", is_postgres=is_postgres)
    assert Attempt.objects.get().pk == first.pk


@pytest.mark.parametrize("live", ["queued", "running", "canceling"])
def test_done_attempts_do_not_stand_in_the_way_of_a_live_one(schedule, make_attempt, live):
    for number, done in enumerate(["success", "error", "killed"]):
        make_attempt(schedule, NOW, status=AttemptStatus(done), name=f"a{number}")

    make_attempt(schedule, NOW, status=AttemptStatus(live), name="b")

    assert Attempt.objects.count() == 4


def test_one_attempt_of_a_name_per_session(schedule, make_attempt, is_postgres):
    make_attempt(schedule, NOW, name="again")

    message = refused(lambda: make_attempt(schedule, NOW, name="again"))

    assert names(message, "attempt_name_unique_in_session", "name", is_postgres=is_postgres)


def test_one_attempt_of_an_index_per_session(schedule, make_attempt, is_postgres):
    make_attempt(schedule, NOW)

    message = refused(lambda: make_attempt(schedule, NOW, name="b", index=1))

    assert names(message, "attempt_index_unique_in_session", "index", is_postgres=is_postgres)


def test_one_latest_attempt_per_session(schedule, make_attempt, is_postgres):
    attempt = make_attempt(schedule, NOW, is_latest=False)
    make_attempt(schedule, NOW, name="b")

    message = refused(lambda: Attempt.objects.filter(pk=attempt.pk).update(is_latest=True))

    assert names(message, "attempt_one_latest_per_session", "session_id", is_postgres=is_postgres)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"status": "lost"}, "attempt_status_known"),
        ({"status": "running"}, "attempt_lease_while_running"),
        ({"lease_expires_at": NOW}, "attempt_lease_while_running"),
        ({"status": "success"}, "attempt_finished_when_done"),
        ({"finished_at": NOW}, "attempt_finished_when_done"),
    ],
)
def test_an_attempts_columns_agree_with_its_status(schedule, make_attempt, change, constraint):
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.QUEUED)

    assert constraint in refused(lambda: Attempt.objects.filter(pk=attempt.pk).update(**change))


def test_a_schedule_has_both_next_times_or_none(schedule):
    for change in ({"next_run_time": None}, {"next_run_time": NOW}):
        message = refused(lambda change=change: type(schedule).objects.filter(pk=schedule.pk).update(**change))
        assert "schedule_next_times_together" in message


def test_one_skip_per_slot(schedule, is_postgres):
    Skip.objects.create(schedule=schedule, session_time=NOW, reason="delayed", created_at=NOW)

    message = refused(
        lambda: Skip.objects.create(schedule=schedule, session_time=NOW, reason="overtime", created_at=NOW)
    )

    assert names(message, "skip_unique_per_slot", "session_time", is_postgres=is_postgres)


def test_one_task_per_position_of_an_attempt(schedule, make_attempt, is_postgres):
    attempt = make_attempt(schedule)
    TaskRun.objects.create(attempt=attempt, position=0, full_name="+w", updated_at=NOW)

    message = refused(lambda: TaskRun.objects.create(attempt=attempt, position=0, full_name="+x", updated_at=NOW))

    assert names(message, "task_position_unique_in_attempt", "position", is_postgres=is_postgres)


def test_a_projects_name_is_free_again_once_it_is_deleted(db, is_postgres):
    Project.objects.create(name="p", created_at=NOW, deleted_at=NOW)
    Project.objects.create(name="p", created_at=NOW)

    message = refused(lambda: Project.objects.create(name="p", created_at=NOW))

    assert names(message, "project_name_unique", "name", is_postgres=is_postgres)


def test_names_are_unique_within_their_project(make_definition):
    definition = make_definition()
    project = definition.workflow.project

    refused(lambda: Workflow.objects.create(project=project, name=definition.workflow.name))
    refused(lambda: Revision.objects.create(project=project, name=definition.revision.name, created_at=NOW))


def test_a_key_expires_after_its_creation(operator):
    message = refused(
        lambda: ApiKey.objects.create(user=operator, name="k", prefix="p", digest="d", created_at=NOW, expires_at=NOW)
    )

    assert "api_key_expires_after_creation" in message


def test_rows_inserted_in_bulk_keep_their_order_and_take_the_fields_defaults(schedule):
    times = [NOW + timedelta(minutes=minute) for minute in (3, 1, 2)]
    uuids = [Session().uuid for _ in times]

    ids = insert_many(
        Session,
        same={"workflow_id": schedule.workflow_id, "created_at": NOW},
        columns={"session_time": times, "uuid": uuids},
        returning="session_time",
    )

    assert list(ids) == times
    written = Session.objects.order_by("pk")
    assert [(session.pk, session.session_time, session.uuid) for session in written] == [
        (ids[at], at, uuid) for at, uuid in zip(times, uuids, strict=True)
    ]


def test_rows_inserted_in_bulk_obey_the_constraints(schedule, make_session):
    make_session(schedule, NOW)

    refused(
        lambda: insert_many(
            Session,
            same={"workflow_id": schedule.workflow_id, "created_at": NOW},
            columns={"session_time": [NOW - timedelta(hours=1), NOW], "uuid": [Session().uuid, Session().uuid]},
            returning="session_time",
        )
    )

    assert Session.objects.count() == 1


def test_inserting_no_rows_asks_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert insert_many(Session, same={}, columns={"session_time": []}, returning="session_time") == {}
