"""`manage.py log`: what the tasks wrote, also while they write it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.files.storage import storages

from scheduler import logs
from scheduler.management.commands import log
from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule, TaskRun

Manage = Callable[..., Any]
TASKS = ("+hourly_report", "+hourly_report+load", "+hourly_report+load^sub+x", "+hourly_report+tell")


@pytest.fixture
def attempt(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> Attempt:
    return make_attempt(schedule, status=AttemptStatus.RUNNING)


@pytest.fixture
def write(attempt: Attempt, now: datetime) -> Callable[[int, str], None]:
    for position, name in enumerate(TASKS):
        TaskRun.objects.create(attempt=attempt, position=position, full_name=name, updated_at=now)

    def chunk(position: int, text: str) -> None:
        LogChunk.objects.create(attempt=attempt, position=position, text=text, written_at=now)

    return chunk


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """meanwhile(a, b): what happens at the first and the second pause of whoever follows; then Ctrl-C."""

    def steps(*happens: Callable[[], object]) -> None:
        coming = iter(happens)

        def sleep(seconds: float) -> None:
            step = next(coming, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        monkeypatch.setattr(log.time, "sleep", sleep)

    return steps


def ending(attempt: Attempt, status: AttemptStatus, **fields: Any) -> Callable[[], object]:
    at = attempt.created_at
    rows = Attempt.objects.filter(pk=attempt.pk)
    return lambda: rows.update(status=status, finished_at=at, lease_expires_at=None, **fields)


def test_all_is_printed_in_the_order_in_which_it_was_written(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None]
) -> None:
    write(1, "loading")
    write(3, " and telling\n")
    write(1, "no new line at the end")

    assert manage("log", attempt.pk) == ("loading and telling\nno new line at the end", "", 0)


def test_more_than_one_batch_is_printed(manage: Manage, attempt: Attempt, write: Callable[[int, str], None]) -> None:
    lines = [f"line {number}\n" for number in range(120)]
    for line in lines:
        write(1, line)

    assert manage("log", attempt.pk).out == "".join(lines)


@pytest.mark.parametrize("task", ["+load", "load", "+hourly_report+load"])
def test_one_task_is_printed_with_what_is_inside_it(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None], task: str
) -> None:
    write(1, "loading\n")
    write(2, "inside\n")
    write(3, "telling\n")

    assert manage("log", attempt.pk, "-t", task).out == "loading\ninside\n"


def test_it_follows_until_the_end_and_misses_nothing_of_it(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None], meanwhile: Callable[..., None]
) -> None:
    def end() -> None:
        write(1, "three\n")
        ending(attempt, AttemptStatus.SUCCESS)()

    write(1, "one\n")
    meanwhile(lambda: write(1, "two\n"), end)

    assert manage("log", attempt.pk, "-f") == ("one\ntwo\nthree\n", "", 0)


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [(AttemptStatus.ERROR, 4, "failed: +load: exit status 2"), (AttemptStatus.KILLED, 5, "was killed")],
)
def test_the_exit_status_tells_how_a_followed_attempt_ended(
    manage: Manage,
    attempt: Attempt,
    meanwhile: Callable[..., None],
    status: AttemptStatus,
    code: int,
    sentence: str,
) -> None:
    meanwhile(ending(attempt, status, reason={"message": "exit status 2", "task": "+load"}))

    said = manage("log", attempt.pk, "--follow")

    assert (said.out, said.code) == ("", code)
    assert said.err.startswith(f"Attempt {attempt.pk} {sentence}")


def test_without_following_a_failed_attempt_is_no_error(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None]
) -> None:
    write(1, "x\n")
    ending(attempt, AttemptStatus.ERROR)()

    assert manage("log", attempt.pk) == ("x\n", "", 0)


def test_ctrl_c_ends_it_quietly(manage: Manage, attempt: Attempt, meanwhile: Callable[..., None]) -> None:
    meanwhile()

    assert manage("log", attempt.pk, "-f") == ("", "", 130)


def test_a_task_that_is_not_there_is_named(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None], meanwhile: Callable[..., None]
) -> None:
    sentence = f"There is no task '+hourly_report+lod' in attempt {attempt.pk}; did you mean '+hourly_report+load'?"
    meanwhile(ending(attempt, AttemptStatus.SUCCESS))

    assert manage("log", attempt.pk, "-t", "lod") == ("", sentence, 1)
    assert manage("log", attempt.pk, "-t", "lod", "-f") == ("", sentence, 1)


def test_an_attempt_that_has_not_begun_has_no_log_yet(
    manage: Manage, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    queued = make_attempt(schedule, status=AttemptStatus.QUEUED)

    assert manage("log", queued.pk, "-t", "+load") == ("", "", 0)


def test_a_log_that_was_moved_into_the_storage_is_printed(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None]
) -> None:
    write(3, "telling\n")
    write(1, "loading\n")
    ending(attempt, AttemptStatus.SUCCESS)()
    logs.move(attempt.pk)

    assert manage("log", attempt.pk).out == "loading\ntelling\n"
    assert manage("log", attempt.pk, "-t", "+tell").out == "telling\n"


def test_one_that_is_moved_while_it_is_followed_is_printed_once_and_to_its_end(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None], meanwhile: Callable[..., None]
) -> None:
    def end() -> None:
        write(1, "two\n")
        write(3, "three\n")
        ending(attempt, AttemptStatus.SUCCESS)()
        logs.move(attempt.pk)

    write(1, "one\n")
    meanwhile(end)

    assert manage("log", attempt.pk, "-f") == ("one\ntwo\nthree\n", "", 0)


def test_a_storage_that_does_not_answer_is_told(
    manage: Manage, attempt: Attempt, write: Callable[[int, str], None]
) -> None:
    write(1, "x\n")
    ending(attempt, AttemptStatus.SUCCESS)()
    logs.move(attempt.pk)
    storages[logs.STORAGE].delete(logs.kept_files(attempt.pk)[0].name)

    said = manage("log", attempt.pk)

    assert (said.out, said.code) == ("", 1)
    assert said.err.startswith("The storage of logs does not answer")


@pytest.mark.django_db
def test_an_attempt_that_is_not_there_is_named(manage: Manage) -> None:
    assert manage("log", 7, "-f") == ("", "There is no attempt 7.", 1)
