"""What an attempt that resumes another runs, and what it takes as done."""

from collections.abc import Callable

import pytest

from scheduler.execution.drain import drain
from scheduler.models import Attempt, Lane, TaskRun

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]
States = Callable[[Attempt], dict[str, str]]

DOCUMENT = {
    "+a": {"echo>": "a"},
    "+g": {"+b": {"echo>": "b"}, "+c": {"echo>": "c"}},
    "+d": {"fail>": "d ${attempt_id}"},
    "+e": {"echo>": "e"},
}


@pytest.fixture
def retry() -> Callable[..., Attempt]:
    """retry(attempt): one more of the session that resumes it, run to its end."""

    def make(earlier: Attempt, name: str = "again", **fields: object) -> Attempt:
        Attempt.objects.filter(pk=earlier.pk).update(is_latest=False)
        attempt = Attempt.objects.create(
            session=earlier.session,
            workflow=earlier.workflow,
            definition=earlier.definition,
            index=earlier.index + 1,
            name=name,
            lane=Lane.MANUAL,
            created_at=earlier.created_at,
            released_at=earlier.created_at,
            resumed_from=earlier,
            **fields,
        )
        drain(Lane.MANUAL)
        attempt.refresh_from_db()
        return attempt

    return make


def test_what_succeeded_is_not_run_again(
    execute: Execute, retry: Callable[..., Attempt], log_of: LogOf, states: States
) -> None:
    earlier = execute(DOCUMENT)

    attempt = retry(earlier)

    assert log_of(earlier) == "a\nb\nc\n"
    assert (attempt.status, attempt.reason["message"], log_of(attempt)) == ("error", f"d {attempt.pk}", "")
    assert states(attempt) == states(earlier)


def test_an_attempt_that_resumes_can_be_resumed(execute: Execute, retry: Callable[..., Attempt], log_of: LogOf) -> None:
    middle = retry(execute(DOCUMENT))

    last = retry(middle, "once more")

    assert (last.reason["message"], log_of(last)) == (f"d {last.pk}", "")


def test_the_named_task_and_everything_after_it_run_again(
    execute: Execute, retry: Callable[..., Attempt], log_of: LogOf, states: States
) -> None:
    attempt = retry(execute(DOCUMENT), resume_position=4)  # +wf+g+c

    assert log_of(attempt) == "c\n"
    assert list(states(attempt).values()) == [
        *("group_error", "success", "success", "success", "success", "error", "blocked")
    ]


def test_a_task_before_the_named_one_that_did_not_succeed_is_run(
    execute: Execute, retry: Callable[..., Attempt], log_of: LogOf
) -> None:
    earlier = execute(DOCUMENT)
    TaskRun.objects.filter(attempt=earlier, full_name="+wf+a").update(state="error")

    assert log_of(retry(earlier, resume_position=4)) == "a\nc\n"


def test_a_task_that_stands_elsewhere_or_has_another_name_is_run(
    execute: Execute, retry: Callable[..., Attempt], log_of: LogOf
) -> None:
    earlier = execute(DOCUMENT)
    TaskRun.objects.filter(attempt=earlier, full_name="+wf+a").update(full_name="+wf+before")

    assert log_of(retry(earlier)) == "a\n"


def test_what_finished_tasks_gave_back_is_there(execute: Execute, retry: Callable[..., Attempt]) -> None:
    document = {"+a": {"py>": "tasks.load"}, "+b": {"fail>": "rows ${rows}"}}
    earlier = execute(document, files={"tasks.py": "def load():\n    return {'rows': 3}\n"})

    assert retry(earlier).reason["message"] == "rows 3"


def test_a_second_delivery_goes_on_from_its_own_tasks(
    execute: Execute, retry: Callable[..., Attempt], log_of: LogOf
) -> None:
    attempt = retry(execute(DOCUMENT))
    TaskRun.objects.filter(attempt=attempt, full_name="+wf+a").update(state="running")
    Attempt.objects.filter(pk=attempt.pk).update(status="queued", finished_at=None, deliveries=1)

    drain(Lane.MANUAL)

    assert log_of(attempt) == "a\n"


def test_a_second_delivery_that_has_no_tasks_of_its_own_still_resumes(
    execute: Execute, retry: Callable[..., Attempt], log_of: LogOf
) -> None:
    attempt = retry(execute(DOCUMENT))
    TaskRun.objects.filter(attempt=attempt).delete()
    Attempt.objects.filter(pk=attempt.pk).update(status="queued", finished_at=None, deliveries=1)

    drain(Lane.MANUAL)

    assert log_of(attempt) == ""
