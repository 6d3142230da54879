"""Starting a session, and running it again under a new name."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from projects.models import WorkflowDefinition
from scheduler.errors import InvalidInput
from scheduler.models import Attempt, AttemptStatus, Lane, Overlap, Pool, Schedule, Session, TaskRun
from scheduler.starting import AttemptConflict, Resume, ResumeMode, WorkflowNotFound, start

AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
DOCUMENT = {"+a": {"echo>": "1"}, "+g": {"+b": {"echo>": "2"}, "+c": {"echo>": "3"}}, "+d": {"echo>": "4"}}


def test_a_new_session_gets_its_first_attempt_released_in_the_manual_lane(
    make_definition: Callable[..., WorkflowDefinition], now: datetime
) -> None:
    definition = make_definition()

    attempt = start(definition_id=definition.pk, session_time=AT, params={"a": [1]}, now=now)

    session = Session.objects.get()
    assert (session.workflow_id, session.session_time) == (definition.workflow_id, AT)
    attempt.refresh_from_db()
    assert (attempt.session_id, attempt.index, attempt.name, attempt.status) == (session.pk, 1, "", "queued")
    assert (attempt.lane, attempt.released_at, attempt.params) == (Lane.MANUAL, now, {"a": [1]})


def test_the_fraction_of_a_second_is_cut_off_and_any_offset_is_one_moment(
    make_definition: Callable[..., WorkflowDefinition], now: datetime
) -> None:
    local = datetime.fromisoformat("2026-03-02T19:30:00.999999+09:00")

    start(definition_id=make_definition().pk, session_time=local, now=now)

    assert Session.objects.get().session_time == AT


def test_a_retry_is_the_next_and_the_latest_attempt_of_its_session(
    schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    make_attempt(schedule, AT - timedelta(hours=1))
    first = make_attempt(schedule, AT, status=AttemptStatus.ERROR)

    retry = start(definition_id=schedule.definition_id, session_time=AT, retry_attempt_name="again", now=now)

    first.refresh_from_db()
    assert (retry.session_id, retry.index, retry.is_latest, first.is_latest) == (first.session_id, 2, True, False)
    assert retry.last_executed_session_time == AT - timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "there", "asked"),
    [(AttemptStatus.SUCCESS, "", None), (AttemptStatus.ERROR, "again", "again"), (AttemptStatus.QUEUED, "", "again")],
)
def test_an_attempt_of_the_name_or_one_that_is_not_done_is_in_the_way(
    schedule: Schedule,
    make_attempt: Callable[..., Attempt],
    now: datetime,
    status: AttemptStatus,
    there: str,
    asked: str | None,
) -> None:
    existing = make_attempt(schedule, AT, status=status, name=there)

    with pytest.raises(AttemptConflict) as refusal:
        start(definition_id=schedule.definition_id, session_time=AT, retry_attempt_name=asked, now=now)

    assert refusal.value.attempt == existing
    assert Attempt.objects.count() == 1


def test_a_workflow_that_is_not_there_or_whose_project_was_deleted_cannot_be_started(
    schedule: Schedule, now: datetime
) -> None:
    project = schedule.workflow.project
    project.deleted_at = now
    project.save()

    for definition in (schedule.definition_id, 0):
        with pytest.raises(WorkflowNotFound):
            start(definition_id=definition, session_time=AT, now=now)
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"retry_attempt_name": ""}, "retry_attempt_name"),
        ({"retry_attempt_name": "a\nb"}, "retry_attempt_name"),
        ({"retry_attempt_name": "x" * 256}, "retry_attempt_name"),
        ({"session_time": datetime(2026, 3, 2)}, "session_time"),  # noqa: DTZ001 - without an offset
        ({"params": {"a": "\0"}}, "params"),
        ({"params": {"\ud800": 1}}, "params"),
        ({"params": {"a": float("inf")}}, "params"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(
    schedule: Schedule, now: datetime, fields: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        start(**{"definition_id": schedule.definition_id, "session_time": AT, "now": now, **fields})

    assert list(refusal.value.errors) == [wrong]
    assert not Session.objects.exists()


def test_params_nested_too_deep_are_refused(schedule: Schedule, now: datetime) -> None:
    params: dict[str, Any] = {}
    for _ in range(60):
        params = {"a": params}

    with pytest.raises(InvalidInput, match="deep"):
        start(definition_id=schedule.definition_id, session_time=AT, params=params, now=now)


# --- waiting for room ---------------------------------------------------------------------------------------


def test_it_takes_a_free_slot_of_its_pool_and_waits_without_one(
    make_schedule: Callable[..., Schedule], now: datetime
) -> None:
    pool = Pool.objects.create(name="db", slots=1)
    schedule = make_schedule(pool=pool)

    first, second = (
        start(definition_id=schedule.definition_id, session_time=AT + timedelta(hours=hour), now=now) for hour in (0, 1)
    )

    assert (first.pool_id, first.released_at) == (pool.pk, now)
    assert (second.pool_id, second.released_at) == (pool.pk, None)


def test_the_pool_may_be_named_and_has_to_be_there(schedule: Schedule, now: datetime) -> None:
    pool = Pool.objects.create(name="db", slots=1)

    attempt = start(definition_id=schedule.definition_id, session_time=AT, pool_id=pool.pk, now=now)
    with pytest.raises(InvalidInput) as refusal:
        start(definition_id=schedule.definition_id, session_time=now, pool_id=0, now=now)

    assert attempt.pool_id == pool.pk
    assert list(refusal.value.errors) == ["pool_id"]
    assert Session.objects.count() == 1


def test_where_one_runs_at_a_time_a_first_attempt_waits_and_a_retry_does_not(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    schedule = make_schedule(overlap=Overlap.QUEUE_ONE)
    make_attempt(schedule, now, status=AttemptStatus.RUNNING)

    first = start(definition_id=schedule.definition_id, session_time=AT, now=now)
    retry = start(
        definition_id=schedule.definition_id,
        session_time=AT + timedelta(hours=1),
        retry_attempt_name="again",
        now=now,
    )

    assert (first.released_at, retry.released_at) == (None, now)


# --- resuming -----------------------------------------------------------------------------------------------


@pytest.fixture
def failed(make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], now: datetime) -> Attempt:
    attempt = make_attempt(make_schedule(document=DOCUMENT), AT, status=AttemptStatus.ERROR)
    states = ["group_error", "success", "group_error", "success", "error", "blocked"]
    names = ["", "+a", "+g", "+g+b", "+g+c", "+d"]
    for position, (state, name) in enumerate(zip(states, names, strict=True)):
        TaskRun.objects.create(
            attempt=attempt, position=position, full_name=f"+hourly_report{name}", state=state, updated_at=now
        )
    return attempt


def resumed(failed: Attempt, resume: Resume, now: datetime) -> Attempt:
    return start(
        definition_id=failed.definition_id, session_time=AT, retry_attempt_name="again", resume=resume, now=now
    )


def test_resuming_notes_the_attempt_and_copies_nothing(failed: Attempt, now: datetime) -> None:
    attempt = resumed(failed, Resume(failed.pk), now)

    assert (attempt.resumed_from_id, attempt.resume_position) == (failed.pk, None)
    assert not attempt.tasks.exists()


def test_resuming_from_a_task_notes_its_place(failed: Attempt, now: datetime) -> None:
    attempt = resumed(failed, Resume(failed.pk, ResumeMode.FROM, "+hourly_report+g+b"), now)

    assert attempt.resume_position == 3


@pytest.mark.parametrize(("end", "position"), [("+c", 4), ("+g+b", 3), ("+g", 2), ("ly_report", 0)])
def test_resuming_from_a_task_takes_the_end_of_its_name(
    failed: Attempt, now: datetime, end: str, position: int
) -> None:
    attempt = resumed(failed, Resume(failed.pk, ResumeMode.FROM, end), now)

    assert attempt.resume_position == position


def test_an_end_that_two_names_have_is_refused_naming_them(
    make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    twice = {"+g": {"+a": {"echo>": "x"}}, "+h": {"+a": {"echo>": "x"}}}
    failed = make_attempt(make_schedule(document=twice), AT, status=AttemptStatus.ERROR)

    with pytest.raises(InvalidInput) as refusal:
        resumed(failed, Resume(failed.pk, ResumeMode.FROM, "+a"), now)

    (reason,) = refusal.value.errors["resume.from"]
    assert "+hourly_report+g+a, +hourly_report+h+a" in reason


def test_a_successful_attempt_is_resumed_from_a_task(
    failed: Attempt, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    done = make_attempt(failed.workflow.schedule, AT, name="done")

    attempt = resumed(failed, Resume(done.pk, ResumeMode.FROM, "+d"), now)

    assert (attempt.resumed_from_id, attempt.resume_position) == (done.pk, 5)


def test_an_attempt_that_is_not_done_is_not_resumed(
    failed: Attempt, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    running = make_attempt(failed.workflow.schedule, AT, name="running", status=AttemptStatus.RUNNING)

    with pytest.raises((InvalidInput, AttemptConflict)):
        resumed(failed, Resume(running.pk, ResumeMode.FROM, "+d"), now)


def test_an_unknown_task_is_refused(failed: Attempt, now: datetime) -> None:
    with pytest.raises(InvalidInput) as refusal:
        resumed(failed, Resume(failed.pk, ResumeMode.FROM, "+hourly_report+nothing"), now)

    assert list(refusal.value.errors) == ["resume.from"]
    assert Attempt.objects.count() == 1


def test_an_attempt_of_another_session_or_a_successful_one_is_refused(
    failed: Attempt, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    schedule = failed.workflow.schedule
    other = make_attempt(schedule, AT + timedelta(hours=1), status=AttemptStatus.ERROR)
    done = make_attempt(schedule, AT, name="done")

    for attempt in (other, done):
        with pytest.raises(InvalidInput) as refusal:
            resumed(failed, Resume(attempt.pk), now)
        assert list(refusal.value.errors) == ["resume.attempt_id"]


def test_a_refused_resume_leaves_no_new_session(failed: Attempt, now: datetime) -> None:
    with pytest.raises(InvalidInput):
        start(
            definition_id=failed.definition_id,
            session_time=AT + timedelta(hours=5),
            resume=Resume(failed.pk),
            now=now,
        )

    assert Session.objects.count() == 1


# --- races --------------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_that_start_the_same_session_at_once_one_does(schedule: Schedule, now: datetime) -> None:
    barrier = Barrier(2, timeout=30)

    def ask(at: datetime) -> str:
        barrier.wait()
        try:
            start(definition_id=schedule.definition_id, session_time=at, now=now)
        except AttemptConflict:
            return "conflict"
        finally:
            connection.close()
        return "started"

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            at = AT + timedelta(hours=number)

            answers = Counter(pool.map(ask, [at, at]))

            assert answers == {"started": 1, "conflict": 1}
    assert (Session.objects.count(), Attempt.objects.count()) == (20, 20)


def test_a_dry_run_is_the_start_stopped_before_it_writes(
    schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    make_attempt(schedule, AT)

    planned = start(definition_id=schedule.definition_id, session_time=AT + timedelta(hours=1), dry_run=True, now=now)

    assert (planned.pk, planned.status) == (None, "queued")
    assert (Session.objects.count(), Attempt.objects.count()) == (1, 1)
    with pytest.raises(AttemptConflict):
        start(definition_id=schedule.definition_id, session_time=AT, dry_run=True, now=now)
