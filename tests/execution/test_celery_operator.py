"""`celery>`: tasks that are registered in the worker's Celery application."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import states

from scheduler import dispatch
from scheduler.attempts import kill
from scheduler.celery import app
from scheduler.execution.drain import drain
from scheduler.language import LANGUAGE
from scheduler.models import Attempt, Lane, TaskRun
from tests.execution.test_run import gone

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]


def stored(attempt: Attempt, position: int = 1) -> object:
    return TaskRun.objects.get(attempt=attempt, position=position).store_params


def test_a_task_runs_with_its_arguments_and_its_result_is_there_for_later_tasks(
    execute: Execute, log_of: LogOf
) -> None:
    document = {
        "_export": {"by": 2},
        "+a": {"celery>": "tests.shop.tasks.total", "args": [1, 2, 4], "kwargs": {"times": 3}},
        "+b": {"echo>": "${celery.last_result.total} of ${celery.last_result.told[2] + 1}"},
    }

    attempt = execute(document)

    assert (attempt.status, attempt.reason) == ("success", {})
    assert log_of(attempt).endswith("21 of 5\n")
    assert stored(attempt) == {"celery": {"last_result": {"total": 21, "told": [1, 2, 4]}}}


def test_arguments_are_filled_from_variables_and_may_be_json_as_a_whole(execute: Execute) -> None:
    document = {
        "_export": {"numbers": [3, 4], "module": "tests.shop"},
        "+a": {"celery>": "${module}.tasks.total", "args": "${numbers}", "kwargs": '{"times": ${numbers[0]}}'},
        "+b": {"celery>": "tests.shop.tasks.tell", "kwargs": {"text": "of ${session_date}"}},
    }

    attempt = execute(document)

    assert attempt.reason == {}
    assert stored(attempt) == {"celery": {"last_result": {"total": 21, "told": [3, 4]}}}


def test_what_it_prints_and_logs_is_in_the_log_and_it_knows_who_it_is(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.tell", "args": ["x"]}})

    log = log_of(attempt)
    assert [part in log for part in ("printed x\n", "to stderr\n", "logged x", "warned")] == [True] * 4
    assert str(stored(attempt)).startswith(f"{{'celery': {{'last_result': 'tests.shop.tasks.tell {attempt.pk}.")


def test_what_it_raises_is_the_failure_with_type_and_text_and_the_traceback_is_in_the_log(
    execute: Execute, log_of: LogOf
) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.fail", "args": ["no row 7"]}})

    assert attempt.reason == {"message": "LookupError: no row 7", "exit_code": 1, "task": "+wf+a"}
    assert "raise LookupError(message)" in log_of(attempt)


def test_a_task_that_retries_itself_does_so_at_once_and_fails_in_the_end(execute: Execute) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.forever", "args": [1]}})

    assert attempt.reason["message"] == "ArithmeticError: at 3"


def test_a_result_that_is_not_json_is_left_out_and_the_log_says_so(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.price"}})

    assert (attempt.status, stored(attempt)) == ("success", {"celery": {"last_result": None}})
    assert "a Decimal, which is not JSON" in log_of(attempt)


def test_a_task_has_the_workers_environment_and_nobody_else_sees_it(
    execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "a key of the house that is long enough to be one, fifty letters and more")

    attempt = execute(
        {"_export": {"SECRET_KEY": "the author's"}, "+a": {"celery>": "tests.shop.tasks.seen_environment"}}
    )

    inside, outside = stored(attempt)["celery"]["last_result"]  # type: ignore[index]
    assert inside.startswith("a key of the house")
    assert "SECRET_KEY" not in outside


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"celery>": "tests.shop.tasks.totl"}, "There is no Celery task 'tests.shop.tasks.totl'; did you mean"),
        ({"celery>": "scheduler.drain"}, "There is no Celery task 'scheduler.drain'"),
        ({"celery>": "celery.chord"}, "There is no Celery task 'celery.chord'"),
        ({"celery>": "os.system", "args": ["id"]}, "There is no Celery task 'os.system'; here are "),
        ({"celery>": ""}, "There is no Celery task ''"),
        ({"celery>": "tests.shop.tasks.total", "args": "x"}, "args: of celery> is a list, not 'x'."),
        ({"celery>": "tests.shop.tasks.total", "args": {"a": 1}}, "args: of celery> is a list"),
        ({"celery>": "tests.shop.tasks.total", "kwargs": [1]}, "kwargs: of celery> is a mapping"),
        ({"celery>": "tests.shop.tasks.total", "timeout": "soon"}, "timeout: takes a duration such as 30s"),
        ({"celery>": "tests.shop.tasks.total", "timeout": 0}, "timeout: is at least 1s."),
        ({"celery>": "tests.shop.tasks.total", "queue": "manual"}, "queue: manual is for Hindcast's own hints"),
        ({"celery>": "tests.shop.tasks.total", "queue": "x" * 101}, "queue: is a name of at most 100"),
        (
            {"celery>": "tests.shop.tasks.total", "queue": "q", "kwargs": {"a": [{"b": "${secret:key}"}]}},
            "kwargs: a secret would stand in a message of the broker",
        ),
    ],
)
def test_what_would_not_run_is_refused_before_and_when_it_runs(
    execute: Execute, config: dict[str, Any], message: str
) -> None:
    before = list(LANGUAGE.task_problems("celery", config))
    attempt = execute({"+a": config})

    assert message in before[0]
    assert message in attempt.reason["message"]
    assert attempt.status == "error"


def test_a_name_that_is_known_when_it_runs_is_looked_at_then(execute: Execute) -> None:
    config = {"celery>": "${task}", "args": "${args}"}

    assert list(LANGUAGE.task_problems("celery", config)) == []
    assert "There is no Celery task 'nope'" in execute({"_export": {"task": "nope"}, "+a": config}).reason["message"]


def test_a_task_that_takes_too_long_is_ended(execute: Execute, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    attempt = execute({"+a": {"celery>": "tests.shop.tasks.sleep", "args": [str(mark)], "timeout": "3s"}})

    assert attempt.reason["message"] == "It took longer than 3 s, and was ended."
    assert mark.read_text() == "began\nended\n"


@pytest.mark.processes
def test_a_killed_attempt_ends_its_task_and_what_that_started(
    start_worker: Callable[..., Any], start: Execute, ended: Execute, wait_until: Callable[..., Any], now: Any
) -> None:
    start_worker("threads")
    mark = "deaf-task-of-a-test"
    attempt = start({"+a": {"celery>": "tests.shop.tasks.deaf", "args": [mark]}})
    wait_until(lambda: mark in commands(), 20)

    kill(attempt.pk, now=now)

    assert ended(attempt, timeout=20).status == "killed"
    assert gone(mark)


@pytest.mark.processes
def test_a_command_beside_it_finds_no_key_of_the_house_in_an_open_file(
    start_worker: Callable[..., Any], start: Execute, ended: Execute, log_of: LogOf, tmp_path: Path
) -> None:
    worker = start_worker("threads", SECRET_KEY="a canary that is fifty letters long, or else it is refused")
    look = (
        f"until [ -s {tmp_path}/mark ]; do sleep 0.1; done\n"
        f"for file in /proc/$PPID/fd/* /proc/{worker.pid}/fd/* /proc/[0-9]*/fd/*; do\n"
        'case $(readlink $file) in *memfd:*) cat $file;; esac; done; echo looked "$?"'
    )
    sleeps = {"celery>": "tests.shop.tasks.sleep", "args": [f"{tmp_path}/mark", 3]}

    attempt = ended(start({"+a": {"_parallel": True, "+look": {"sh>": look}, "+sleep": sleeps}}), timeout=40)

    assert attempt.reason == {}
    assert "looked" in log_of(attempt)
    assert "canary" not in log_of(attempt)


def commands() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


# --- with a queue ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What goes to the broker, instead of going there."""
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(dispatch, "deliver", lambda name, **message: messages.append({"name": name, **message}))
    return messages


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A result backend in a folder."""
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setattr(app, "_local", type(app._local)())
    monkeypatch.setattr(app, "_backend_cache", None)
    before = app.conf.result_backend
    app.conf.result_backend = f"file://{folder}"
    yield app.backend
    app.conf.result_backend = before


def test_without_a_result_backend_it_is_done_once_the_broker_has_it(
    execute: Execute, log_of: LogOf, sent: list[dict[str, Any]]
) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.total", "args": [1], "queue": "${'far' + 'away'}"}})

    (message,) = sent
    assert (attempt.status, stored(attempt)) == ("success", {})
    assert message.pop("task_id").startswith(f"{attempt.pk}.")
    assert message == {
        "name": "tests.shop.tasks.total",
        "args": [1],
        "kwargs": {},
        "queue": "faraway",
        "heard_of": False,
    }
    assert "done, as nobody here hears of its result" in log_of(attempt)


def test_names_of_other_workers_may_be_sent_but_not_run_here(
    execute: Execute, sent: list[dict[str, Any]], settings: Any
) -> None:
    settings.HINDCAST_REMOTE_TASKS = ["legacy.*"]

    assert execute({"+a": {"celery>": "legacy.load", "queue": "q"}}).status == "success"
    assert execute({"+a": {"celery>": "legacy.load"}}, name="here").status == "error"
    assert execute({"+a": {"celery>": "legacies.load", "queue": "q"}}, name="other").status == "error"
    assert [message["name"] for message in sent] == ["legacy.load"]


def go_on(attempt: Attempt) -> Attempt:
    """What it waits for is over, as far as the clock is concerned."""
    Attempt.objects.filter(pk=attempt.pk, status="queued").update(released_at=attempt.created_at)
    TaskRun.objects.filter(attempt=attempt, retry_at__isnull=False).update(retry_at=attempt.created_at)
    drain(Lane.MANUAL)
    attempt.refresh_from_db()
    return attempt


def test_with_a_result_backend_it_is_waited_for_and_no_worker_is_held(
    execute: Execute, log_of: LogOf, sent: list[dict[str, Any]], results: Any
) -> None:
    attempt = execute(
        {
            "+a": {"celery>": "tests.shop.tasks.append", "args": ["x"], "queue": "q"},
            "+b": {"echo>": "${celery.last_result.rows}"},
        }
    )
    states_seen = [attempt.status, go_on(attempt).status]
    results.store_result(sent[0]["task_id"], {"rows": 5}, states.SUCCESS)

    assert states_seen == ["queued", "queued"]
    assert go_on(attempt).status == "success"
    assert log_of(attempt).endswith("waiting for its result.\n5\n")
    assert [message["heard_of"] for message in sent] == [True]


def test_a_failure_in_a_queue_is_the_tasks_failure_and_a_retry_is_sent_anew(
    execute: Execute, sent: list[dict[str, Any]], results: Any
) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.append", "args": ["x"], "queue": "q", "_retry": 1}})
    for number in (0, 1):
        results.store_result(sent[number]["task_id"], ValueError("no such row"), states.FAILURE)
        go_on(attempt)

    assert attempt.reason["message"] == "ValueError: no such row"
    assert len({message["task_id"] for message in sent}) == 2


def test_a_task_revoked_by_somebody_is_a_failure(execute: Execute, sent: list[dict[str, Any]], results: Any) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.append", "args": ["x"], "queue": "q"}})
    results.store_result(sent[0]["task_id"], None, states.REVOKED)

    assert go_on(attempt).reason["message"] == "The task was revoked."


def test_a_task_in_a_queue_that_takes_too_long_is_revoked(
    execute: Execute,
    sent: list[dict[str, Any]],
    results: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    revoked: list[list[str]] = []
    monkeypatch.setattr(dispatch, "revoke", revoked.append)
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.append", "args": ["x"], "queue": "q", "timeout": "1m"}})
    task = TaskRun.objects.get(attempt=attempt, position=1)
    task.state_params["celery"]["sent_at"] = "2026-01-01T00:00:00+00:00"
    task.save()

    go_on(attempt)

    assert attempt.reason["message"] == "It took longer than 60 s, and was revoked."
    assert revoked == [[sent[0]["task_id"]]]


def test_a_killed_attempt_revokes_what_it_waits_for(
    execute: Execute,
    sent: list[dict[str, Any]],
    results: Any,
    monkeypatch: pytest.MonkeyPatch,
    now: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    revoked: list[list[str]] = []
    monkeypatch.setattr(app.control, "revoke", lambda ids, connection: revoked.append(ids))
    other = execute({"+a": {"celery>": "tests.shop.tasks.append", "args": ["x"], "queue": "q"}}, name="other")
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.append", "args": ["x"], "queue": "q"}})

    with django_capture_on_commit_callbacks(execute=True):
        kill(attempt.pk, now=now)

    assert revoked == [[sent[1]["task_id"]]]
    assert not Attempt.objects.get(pk=other.pk).done


def test_a_delivery_that_died_after_sending_does_not_send_again_what_the_backend_knows(
    execute: Execute, sent: list[dict[str, Any]], results: Any
) -> None:
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.append", "args": ["x"], "queue": "q"}})
    task = TaskRun.objects.get(attempt=attempt, position=1)
    kept = task.state_params["celery"]
    task.state_params["celery"] = {"try": kept["try"], "id": kept["id"]}  # as it is while the message leaves
    task.save()
    results.store_result(kept["id"], 1, states.SUCCESS)

    go_on(attempt)
    go_on(attempt)

    assert attempt.status == "success"
    assert len(sent) == 1


def test_a_broker_that_is_away_is_waited_for(
    execute: Execute, log_of: LogOf, monkeypatch: pytest.MonkeyPatch, sent: list[dict[str, Any]]
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("nobody there")

    there = dispatch.deliver
    monkeypatch.setattr(dispatch, "deliver", away)
    attempt = execute({"+a": {"celery>": "tests.shop.tasks.total", "queue": "q"}})
    monkeypatch.setattr(dispatch, "deliver", there)

    assert (attempt.status, "nobody there" in log_of(attempt)) == ("queued", True)
    assert go_on(attempt).status == "success"
    assert len(sent) == 1


@pytest.mark.processes
def test_a_task_in_a_queue_is_run_by_a_worker_and_heard_of(
    start_worker: Callable[..., Any],
    start_beat: Callable[..., Any],
    start: Execute,
    ended: Execute,
    log_of: LogOf,
    tmp_path: Path,
) -> None:
    (tmp_path / "results").mkdir()
    start_worker("threads", HINDCAST_RESULT_BACKEND=f"file://{tmp_path}/results")
    start_beat()
    line = {"celery>": "tests.shop.tasks.append", "args": [str(tmp_path / "file"), "line"], "queue": "celery"}
    bad = start({"+a": {"celery>": "tests.shop.tasks.raise_in_queue", "queue": "celery"}})
    good = start({"+a": line, "+b": line, "+c": {"echo>": "${celery.last_result} lines"}})

    assert ended(bad, timeout=30).reason["message"] == "ValueError: no such row"
    assert ended(good, timeout=30).reason == {}
    assert log_of(good).endswith("2 lines\n")
    assert (tmp_path / "file").read_text() == "line\nline\n"
