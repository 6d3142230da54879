"""Secrets reach the commands that ask for them, and nothing that people read."""

import base64
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps

from projects import secrets
from projects.models import Secret
from scheduler.execution import run
from scheduler.execution.drain import drain
from scheduler.execution.masked_logs import masked_logs
from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed, TryLater
from scheduler.models import Attempt, Lane, LogChunk, TaskRun
from scheduler.observe.error_tracking import stripped

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CANARY = "kan4ri/vogel&gelb"
ENV = {"PW": "${secret:db.password}"}

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]


@pytest.fixture
def execute(queue: Execute, settings: Any, tmp_path: Any) -> Execute:
    """execute({…}, secrets={"key": "value"}): the attempt, after it was run in this process."""
    settings.HINDCAST_WORK_DIR = tmp_path / "work"

    def go(document: dict[str, Any], *, held: dict[str, str] | None = None, **fields: Any) -> Attempt:
        attempt = queue(document, **fields)
        for key, value in ({"db.password": CANARY} if held is None else held).items():
            secrets.put(project_id=attempt.workflow.project_id, key=key, value=value, now=NOW)
        drain(Lane.MANUAL)
        attempt.refresh_from_db()
        return attempt

    return go


def everything_kept() -> str:
    """Every row of the product's tables as text, but the sealed secrets."""
    models = [*apps.get_app_config("scheduler").get_models(), *apps.get_app_config("projects").get_models()]
    return json.dumps([list(model.objects.values()) for model in models if model is not Secret], default=str)  # type: ignore[attr-defined]


def test_a_command_gets_a_secret_by_env_and_its_log_shows_stars(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"sh>": 'test $(printf %s "$PW" | wc -c) = 17 && echo "is $PW * *** **."', "_env": ENV}})

    assert (attempt.status, log_of(attempt)) == ("success", "is *** * *** **.\n")
    assert CANARY not in everything_kept()


@pytest.mark.parametrize(
    "said",
    [
        CANARY,
        f"https://u:{quote(CANARY, safe='')}@h/",
        base64.b64encode(f"user:{CANARY}".encode()).decode(),
        repr(CANARY),
    ],
)
def test_what_is_made_of_a_secret_is_masked_too(execute: Execute, log_of: LogOf, said: str) -> None:
    attempt = execute({"+a": {"sh>": "cat said.txt", "_env": ENV}}, files={"said.txt": f"<{said}>\n"})

    assert "***" in log_of(attempt)
    assert not [part for part in ("kan4ri", "vogel", "a2FuNHJp", "ZlbGI") if part in log_of(attempt)]


def test_a_secret_that_is_written_in_two_pieces_is_masked(execute: Execute, log_of: LogOf) -> None:
    command = "printf 'it is kan4ri/vo'; sleep 0.4; printf 'gel&gelb\\nkan4'; sleep 0.4; echo ; printf kan"

    attempt = execute({"+a": {"sh>": command, "_env": ENV}})

    assert log_of(attempt) == "it is ***\nkan4\nkan"


def test_a_secret_at_the_end_of_a_full_log_leaves_no_half(execute: Execute, log_of: LogOf, settings: Any) -> None:
    settings.HINDCAST_LOG_LIMIT_BYTES = 10

    attempt = execute({"+a": {"sh>": 'echo "1234567$PW"', "_env": ENV}})

    assert log_of(attempt).startswith("1234567***\n[The log ends here")


def test_a_traceback_and_the_reasons_of_a_failure_are_masked(execute: Execute, log_of: LogOf) -> None:
    files = {"job.py": "import os\n\n\ndef go():\n    raise ValueError('refused ' + os.environ['PW'])\n"}

    attempt = execute(
        {"+a": {"py>": "job.go", "_env": ENV}, "_error": {"+e": {"echo>": "${error.message}"}}}, files=files
    )

    assert attempt.reason["message"] == "ValueError: refused ***"
    assert TaskRun.objects.get(attempt=attempt, full_name="+wf+a").error["message"] == "ValueError: refused ***"
    assert log_of(attempt).count("refused ***") == 2
    assert CANARY not in everything_kept()


def test_a_result_is_kept_with_stars_and_the_log_says_so(execute: Execute, log_of: LogOf) -> None:
    files = {
        "job.py": (
            "import os\n\n\ndef go():\n"
            "    pw = os.environ['PW']\n    return {'rows': 3, 'login': {'token': 'Bearer ' + pw, pw: [pw]}}\n"
        )
    }

    attempt = execute({"+a": {"py>": "job.go", "_env": ENV}, "+b": {"echo>": "${rows} ${login.token}"}}, files=files)

    kept = TaskRun.objects.get(attempt=attempt, full_name="+wf+a").store_params
    assert kept == {"rows": 3, "login": {"token": "Bearer ***", "***": ["***"]}}
    assert log_of(attempt) == "[A secret was in the result; later tasks see *** in its place.]\n3 Bearer ***\n"
    assert CANARY not in everything_kept()


def test_all_secrets_of_the_project_are_masked_once_one_was_asked_for(execute: Execute, log_of: LogOf) -> None:
    held = {"db.password": CANARY, "other": "never-asked-for"}
    document = {
        "+a": {"echo>": "never-asked-for"},
        "+b": {"sh>": "true", "_env": ENV},
        "+c": {"echo>": "never-asked-for"},
    }

    attempt = execute(document, held=held)

    assert log_of(attempt) == "never-asked-for\n***\n"


def test_a_later_delivery_masks_from_the_start(execute: Execute, log_of: LogOf) -> None:
    assert log_of(execute({"+a": {"echo>": CANARY}}, lease_token=0)) == f"{CANARY}\n"
    assert log_of(execute({"+a": {"echo>": CANARY}}, lease_token=1)) == "***\n"


def test_an_attempt_that_is_resumed_masks_from_the_start(execute: Execute, log_of: LogOf) -> None:
    first = execute({"+a": {"echo>": "x"}, "+b": {"fail>": "x"}})

    resumed = execute({"+a": {"echo>": "x"}, "+b": {"echo>": CANARY}}, resumed_from=first)

    assert log_of(resumed) == "***\n"


def test_a_secret_that_is_not_there_fails_the_task_and_is_named(execute: Execute) -> None:
    attempt = execute({"+a": {"sh>": "true", "_env": {"PW": "${secret:db.pasword}"}}})

    assert attempt.reason["message"] == "The project has no secret 'db.pasword'."
    assert attempt.reason["secret"] == "db.pasword"


def test_a_secret_of_another_project_is_none(execute: Execute) -> None:
    execute({"+a": {"echo>": "x"}}, held={"db.password": CANARY})

    attempt = execute({"+a": {"sh>": "true", "_env": ENV}}, held={})

    assert attempt.reason["message"] == "The project has no secret 'db.password'."


def test_a_name_that_none_can_have_is_refused(execute: Execute) -> None:
    attempt = execute({"+a": {"sh>": "true", "_env": {"PW": "${secret:a b}"}}})

    assert attempt.reason["message"].startswith("'a b' is no name of a secret. Give segments joined by dots")


def test_a_secret_whose_key_is_gone_says_what_to_do(execute: Execute, settings: Any) -> None:
    attempt = execute({"+a": {"wait>": "1d"}})
    settings.SECRET_KEY = "another one than that which sealed it, of more than fifty letters"
    Attempt.objects.filter(pk=attempt.pk).update(status="killed", finished_at=NOW)
    again = {"+a": {"sh>": "true", "_env": ENV}}

    attempt = execute(again, held={})
    Secret.objects.update(project=attempt.workflow.project_id)
    Attempt.objects.filter(pk=attempt.pk).update(status="queued", finished_at=None, deliveries=0)
    TaskRun.objects.all().delete()
    drain(Lane.MANUAL)
    attempt.refresh_from_db()

    assert attempt.reason["message"].startswith("The secret 'db.password' cannot be opened. Set it again")


@pytest.mark.parametrize(
    "task",
    [
        {"echo>": "${secret:db.password}"},
        {"sh>": "echo ${secret:db.password}"},
        {"sh>": 'echo "a ${secret:db.password}"'},
        {"fail>": "${secret:db.password}"},
        {"sh>": "echo $pw", "_export": {"pw": "${secret:db.password}"}},
        {"py>": "os.getcwd", "pw": "${secret:db.password}"},
        {"for_each>": {"x": ["${secret:db.password}"]}, "_do": {"echo>": "${x}"}},
    ],
)
def test_elsewhere_a_secret_is_an_error_that_says_where_it_may_stand(execute: Execute, task: dict[str, Any]) -> None:
    attempt = execute({"+a": task})

    assert attempt.status == "error"
    assert attempt.reason["message"].startswith("${secret:db.password} can stand only in _env: of sh> and py>")
    assert CANARY not in everything_kept()


def test_a_value_that_looks_like_a_reference_is_not_read(execute: Execute, log_of: LogOf) -> None:
    document = {"+a": {"sh>": 'echo "$SAID"', "_env": {"SAID": "${said}"}}}

    attempt = execute(document, params={"said": "${secret:db.password}"})

    assert log_of(attempt) == "${secret:db.password}\n"


def test_a_command_line_shows_no_secret(execute: Execute, log_of: LogOf) -> None:
    lines = "for p in $$ $PPID; do tr '\\0' ' ' < /proc/$p/cmdline; done; echo end"
    files = {"job.py": "import os\n\n\ndef go():\n    print(open('/proc/self/cmdline').read().replace(chr(0), ' '))\n"}

    attempt = execute({"+a": {"sh>": lines, "_env": ENV}, "+b": {"py>": "job.go", "_env": ENV}}, files=files)

    assert "end\n" in log_of(attempt)
    assert "py_child" in log_of(attempt) or "python" in log_of(attempt)
    assert "***" not in log_of(attempt)


def test_very_short_and_common_values_are_left_alone(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"sh>": "echo on 1 $PW", "_env": ENV}}, held={"db.password": "1", "b": "on"})

    assert log_of(attempt) == "on 1 1\n"


# --- with operators of the test ---------------------------------------------------------------------------------


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Context], Outcome]], None]:
    """operator(run): what `sh>` is from then on."""
    return lambda body: monkeypatch.setitem(run.OPERATORS, "sh", Operator(body))


@pytest.fixture
def own_log() -> Iterator[io.StringIO]:
    """What this process logs, as it does."""
    root = logging.getLogger()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(next(one.formatter for one in root.handlers if type(one) is logging.StreamHandler))
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def test_what_we_log_of_our_own_fault_is_masked(execute: Execute, operator: Any, own_log: io.StringIO) -> None:
    def break_down(task: Context) -> Outcome:
        raise RuntimeError(f"cannot reach https://u:{task.secret('db.password')}@host")

    operator(break_down)
    attempt = execute({"+a": {"sh>": "x"}})

    said = own_log.getvalue()
    assert attempt.reason == {"message": "Hindcast could not run this attempt: RuntimeError."}
    assert "cannot reach https://u:***@host" in said
    assert "kan4ri" not in said


def test_a_report_of_an_error_is_masked() -> None:
    event = {"exception": {"values": [{"type": "E", "value": f"at {CANARY}"}]}, "message": CANARY, "tags": {"a": "b"}}

    with masked_logs() as known:
        known.add([CANARY])
        sent = stripped(dict(event), None)

    assert sent["exception"]["values"] == [{"type": "E", "value": "at ***"}]
    assert (sent["message"], sent["tags"]) == ("***", {"a": "b"})
    assert stripped(dict(event), None)["message"] == CANARY  # when no attempt runs, no secret is known


def test_facts_of_a_failure_are_masked(execute: Execute, operator: Any) -> None:
    def fail(task: Context) -> Outcome:
        raise TaskFailed(
            "no", url=f"http://h/?p={quote(task.secret('db.password'), safe='')}", pins=[task.secret("pin")]
        )

    operator(fail)
    attempt = execute({"+a": {"sh>": "x"}}, held={"db.password": CANARY, "pin": "4711"})

    assert (attempt.reason["url"], attempt.reason["pins"]) == ("http://h/?p=***", ["***"])


def test_a_secret_that_was_changed_meanwhile_is_masked_as_it_is_now(
    execute: Execute, operator: Any, log_of: LogOf
) -> None:
    def ask_twice(task: Context) -> Outcome:
        task.write(f"{task.secret('db.password')}\n".encode())
        secrets.put(project_id=Secret.objects.get().project_id, key="db.password", value="the-new-one", now=NOW)
        task.write(f"{task.secret('db.password')} {task.revealed('<${secret:db.password}>')}\n".encode())
        return NOTHING

    operator(ask_twice)

    assert log_of(execute({"+a": {"sh>": "x"}})) == "***\n*** <***>\n"


@pytest.mark.django_db(transaction=True)
def test_tasks_that_run_at_the_same_time_keep_their_streams_apart(
    execute: Execute, operator: Any, log_of: LogOf
) -> None:
    def write(task: Context) -> Outcome:
        value = task.secret("db.password")
        for letter in f"{task.command} {value}\n":
            task.write(letter.encode())
        return NOTHING

    operator(write)
    attempt = execute({"+g": {"_parallel": True, **{f"+{n}": {"sh>": str(n)} for n in range(4)}}})

    pieces = LogChunk.objects.filter(attempt=attempt).order_by("pk").values_list("position", "text")
    by_task: dict[int, str] = {}
    for position, text in pieces:
        by_task[position] = by_task.get(position, "") + text
    assert sorted(by_task.values()) == [f"{n} ***\n" for n in range(4)]


def test_what_a_task_keeps_between_two_tries_is_left_as_it_is(execute: Execute, operator: Any) -> None:
    def later(task: Context) -> Outcome:
        task.secret("db.password")
        if "until" not in task.kept:
            raise TryLater(0.01, {"until": "2026"})
        assert task.kept["until"] == "2026"
        return NOTHING

    operator(later)

    assert execute({"+a": {"sh>": "x"}}, held={"db.password": "2026"}).status == "success"
