"""Many rows in one statement."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from scheduler.models import Schedule, Session
from scheduler.models.bulk import insert_many, insert_missing, update_many

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def sessions(schedule, *hours):
    uuids = [uuid4() for _ in hours]
    times = [NOW + hour * HOUR for hour in hours]
    same = {"workflow_id": schedule.workflow_id, "created_at": NOW}
    return uuids, {"same": same, "columns": {"session_time": times, "uuid": uuids}, "returning": "uuid"}


def test_rows_that_are_there_already_are_left_out_and_stay_as_they_were(schedule, make_session):
    there = make_session(schedule, NOW + 2 * HOUR)
    uuids, rows = sessions(schedule, 1, 2, 3)

    made = insert_missing(Session, **rows)

    assert set(made) == {uuids[0], uuids[2]}
    assert dict(Session.objects.values_list("uuid", "pk")) == {**made, there.uuid: there.pk}


def test_a_row_that_is_given_twice_is_made_once(schedule):
    _, rows = sessions(schedule, 1, 1)

    assert len(insert_missing(Session, **rows)) == Session.objects.count() == 1


def test_keys_rise_in_the_order_of_the_rows(schedule):
    uuids, rows = sessions(schedule, *range(200, 0, -1))

    made = insert_missing(Session, **rows)

    assert [made[uuid] for uuid in uuids] == sorted(made.values())


def test_rows_that_must_be_new_are_all_refused(schedule, make_session):
    make_session(schedule, NOW + 2 * HOUR)
    _, rows = sessions(schedule, 1, 2, 3)

    with pytest.raises(IntegrityError):
        insert_many(Session, **rows)


def test_no_rows_are_no_statement(schedule):
    _, rows = sessions(schedule)

    with CaptureQueriesContext(connection) as queries:
        assert insert_missing(Session, **rows) == insert_many(Session, **rows) == {}
        update_many(Schedule, keys=[], columns={"version": []})

    assert len(queries) == 0


def test_each_row_gets_its_own_values_in_one_statement_and_no_other_row_changes(make_schedule):
    first, second, other = (make_schedule(name=name) for name in ("a", "b", "c"))
    columns = {
        "next_session_time": [NOW + 5 * HOUR, None],
        "next_run_time": [NOW + 6 * HOUR + timedelta(microseconds=1), None],
        "error": ["", 'it\'s "50 %" \\ ünd\n\t{}'],
        "failures": [0, 7],
    }

    with CaptureQueriesContext(connection) as queries:
        update_many(Schedule, keys=[first.pk, second.pk], columns=columns)

    assert len(queries) == 1
    for place, schedule in enumerate((first, second)):
        schedule.refresh_from_db()
        assert {name: getattr(schedule, name) for name in columns} == {name: columns[name][place] for name in columns}
    before = other.next_session_time
    other.refresh_from_db()
    assert (other.next_session_time, other.failures, other.error) == (before, 0, "")
