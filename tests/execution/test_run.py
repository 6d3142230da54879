"""One attempt, run in this process."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler import attempts
from scheduler.execution.drain import drain
from scheduler.execution.lease import Lease, LeaseLost, keeper, seconds
from scheduler.execution.run import run
from scheduler.models import Attempt, AttemptStatus, Lane, LogChunk, TaskRun

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]
States = Callable[[Attempt], dict[str, str]]


def gone(marker: str) -> bool:
    """No process has the marker in its command line. One that was just killed has a moment to go."""
    for _ in range(100):
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        if marker not in listed:
            return True
        time.sleep(0.1)
    return False


def test_tasks_run_in_order_and_groups_end_with_their_last_task(
    execute: Execute, log_of: LogOf, states: States
) -> None:
    document = {"+z": {"echo>": 1}, "+g": {"+y": {"sh>": "echo 2"}, "+x": {"echo>": "3"}}, "+a": {"sh>": "echo 4"}}

    attempt = execute(document)

    assert (attempt.status, attempt.reason, log_of(attempt)) == ("success", {}, "1\n2\n3\n4\n")
    assert set(states(attempt).values()) == {"success"}
    assert list(states(attempt)) == ["+wf", "+wf+z", "+wf+g", "+wf+g+y", "+wf+g+x", "+wf+a"]
    first, group = TaskRun.objects.get(attempt=attempt, position=1), TaskRun.objects.get(attempt=attempt, position=2)
    assert (first.parent, first.upstreams, first.config, first.is_group) == (0, [], {"echo>": 1}, False)
    assert (group.parent, group.upstreams, group.is_group, group.started_at is None) == (0, [1], True, False)


def test_a_failed_task_stops_the_attempt_and_the_rest_stays_blocked(execute: Execute, states: States) -> None:
    document = {"+a": {"echo>": "x"}, "+g": {"+bad": {"sh>": "exit 7"}, "+b": {"echo>": "x"}}, "+c": {"echo>": "x"}}

    attempt = execute(document)

    assert attempt.status == AttemptStatus.ERROR
    assert attempt.reason == {"message": "The command ended with exit code 7.", "exit_code": 7, "task": "+wf+g+bad"}
    assert list(states(attempt).values()) == ["group_error", "success", "group_error", "error", "blocked", "blocked"]
    assert TaskRun.objects.get(attempt=attempt, position=3).error["exit_code"] == 7


def test_fail_ends_the_attempt_with_its_message(execute: Execute) -> None:
    attempt = execute({"+a": {"fail>": "no rows on ${session_date}\0"}})

    assert (attempt.status, attempt.reason) == ("error", {"message": "no rows on 2026-03-01", "task": "+wf+a"})


def test_a_document_that_cannot_run_is_an_error_that_says_why(execute: Execute, states: States) -> None:
    attempt = execute({"+a": {"echo>": "x", "_again": 3}})

    assert attempt.reason == {"message": "The directive _again: is not supported by echo>.", "task": "+wf+a"}
    assert (attempt.status, states(attempt)) == ("error", {})


def test_an_attempt_of_one_task_takes_five_statements(execute: Execute, django_assert_max_num_queries: Any) -> None:
    execute({"+a": {"echo>": "first, to learn the definition"}})
    attempt = Attempt.objects.get()
    Attempt.objects.filter(pk=attempt.pk).update(status="queued", finished_at=None, deliveries=0)

    # Three of them are for a later delivery alone, one looks for the next attempt, two are the savepoint of the test.
    with django_assert_max_num_queries(9):
        drain(Lane.MANUAL)


def test_tasks_finished_in_an_earlier_delivery_are_not_run_again(
    execute: Execute, log_of: LogOf, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    document = {
        "+a": {"py>": "work.once"},
        "+b": {"sh>": f"echo b >> {trace}; test -e {tmp_path}/go"},
        "+c": {"echo>": "${got}"},
    }
    files = {"work.py": f"def once():\n    open('{trace}', 'a').write('a\\n')\n    return {{'got': 'kept'}}\n"}
    attempt = execute(document, files=files)
    (tmp_path / "go").touch()
    Attempt.objects.filter(pk=attempt.pk).update(status="queued", finished_at=None, reason={})
    TaskRun.objects.filter(attempt=attempt, state="group_error").update(state="planned", error={})
    TaskRun.objects.filter(attempt=attempt, state="error").update(state="running", error={})

    drain(Lane.MANUAL)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries) == ("success", 2)
    assert trace.read_text() == "a\nb\nb\n"
    assert log_of(attempt).endswith("kept\n")
    assert set(TaskRun.objects.filter(attempt=attempt).values_list("state", flat=True)) == {"success"}


# --- sh> ----------------------------------------------------------------------------------------------------------


def test_sh_works_in_a_private_folder_with_the_projects_files_that_is_removed(
    execute: Execute, log_of: LogOf, tmp_path: Path
) -> None:
    attempt = execute(
        {"+a": {"sh>": "cat sub/data; pwd; stat -c %a .; echo ~"}}, files={"sub/data": "from the project\n"}
    )

    data, folder, mode, home = log_of(attempt).splitlines()
    assert (data, mode, home) == ("from the project", "700", folder)
    assert Path(folder).parent == tmp_path / "work"
    assert list((tmp_path / "work").iterdir()) == []


def test_links_in_the_folder_are_not_followed_when_it_is_removed(execute: Execute, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()

    attempt = execute(
        {"+a": {"sh>": f"ln -s {precious} link; ln -s {precious}/file link2; mkdir locked; chmod 0 locked"}}
    )

    assert attempt.status == "success"
    assert (precious / "file").exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_environment_of_a_child_is_an_allow_list(
    execute: Execute, log_of: LogOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    monkeypatch.setenv("HINDCAST_SECRET", "secret")
    monkeypatch.setenv("PYTHONPATH", "secret")
    document = {"_export": {"region": "eu", "not a name": "x", "n": {"a": 1}}, "+a": {"sh>": "env"}}

    attempt = execute(document, params={"PATH": "/evil", "LD_PRELOAD": "/evil.so"}, timezone_name="Asia/Tokyo")

    names = dict(line.split("=", 1) for line in log_of(attempt).splitlines())
    assert "secret" not in log_of(attempt)
    assert "evil" not in log_of(attempt)
    own = {"HOME", "PWD", "OLDPWD", "SHLVL", "_", "SESSION_TIME", "ATTEMPT_ID", "COMMAND_ID", "region", "n"}
    assert set(names) <= own | {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}
    assert (names["SESSION_TIME"], names["ATTEMPT_ID"]) == ("2026-03-02T00:30:00+09:00", str(attempt.pk))
    assert (names["region"], names["n"]) == ("eu", '{"a":1}')


@pytest.mark.parametrize("value", ["; id", "$(id)", "`id`", "a\nid", "' ; id ; '", '" ; id ; "', "-oProxyCommand=id"])
def test_a_parameter_is_never_read_as_shell_code(execute: Execute, log_of: LogOf, value: str) -> None:
    attempt = execute({"+a": {"sh>": "printf '%s|' ${x} \"${x}\" '${x}'"}}, params={"x": value})

    assert log_of(attempt) == f"{value}|" * 3


def test_a_command_ended_by_a_signal_fails_naming_it(execute: Execute) -> None:
    attempt = execute({"+a": {"sh>": "kill -SEGV $$"}})

    assert attempt.reason == {"message": "The command was ended by SIGSEGV.", "signal": "SIGSEGV", "task": "+wf+a"}


def test_a_command_too_long_for_the_system_fails(execute: Execute) -> None:
    attempt = execute({"+a": {"sh>": "echo ${x}"}}, params={"x": "x" * 3_000_000})

    assert attempt.status == "error"
    assert "could not be started" in attempt.reason["message"]


def test_what_a_command_leaves_behind_is_killed_and_not_waited_for(execute: Execute, log_of: LogOf) -> None:
    marker = f"3{os.getpid()}"
    started = time.monotonic()

    attempt = execute({"+a": {"sh>": f"sleep {marker} & echo started"}})

    assert (attempt.status, log_of(attempt)) == ("success", "started\n")
    assert time.monotonic() - started < 5
    assert gone(f"sleep {marker}")


def test_a_process_that_left_the_group_and_holds_the_pipe_is_not_waited_for(execute: Execute, log_of: LogOf) -> None:
    started = time.monotonic()

    attempt = execute({"+a": {"sh>": "setsid sleep 6 & setsid yes & sleep 0.2; echo done"}})

    assert attempt.status == "success"
    assert time.monotonic() - started < 5


def test_output_is_kept_in_order_whole_and_without_nul(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"sh>": "echo é; echo err >&2; printf 'a\\000b\\377\\n'"}})

    assert log_of(attempt) == "é\nerr\nab\ufffd\n"


def test_output_beyond_the_limit_is_cut_and_the_command_still_ends(
    execute: Execute, log_of: LogOf, settings: Any
) -> None:
    settings.HINDCAST_LOG_LIMIT_BYTES = 100_000

    attempt = execute({"+a": {"sh>": "yes 0123456789 | head -c 30000000; echo end >&2"}, "+b": {"echo>": "more"}})

    kept, last = log_of(attempt).rstrip("\n").rsplit("\n", 1)
    assert attempt.status == "success"
    assert len(kept) == 100_000
    assert last == "[The log ends here: 100000 bytes is the most.]"


# --- py> ----------------------------------------------------------------------------------------------------------

TASKS = """
import json, sys
from helper import double

def add(x, y=2, *, session_date):
    print("adding", x, y, session_date)
    return {"sum": int(x) + y, "twice": double(y)}

def everything(**variables):
    print(sorted(name for name in variables if name.startswith(("next", "given"))))

def boom(x):
    raise ValueError(f"cannot use {x}")

def leave():
    sys.exit(4)

def bad():
    return {"x": {1, 2}}

class Work:
    def __init__(self, x):
        self.x = x

    def run(self, task_name):
        print("method", self.x, task_name)

    @staticmethod
    def static():
        print("static")
"""
FILES = {
    "tasks.py": TASKS,
    "helper.py": "def double(n):\n    return n * 2\n",
    "json.py": "raise RuntimeError('shadow')",
}


@pytest.fixture
def call(execute: Execute) -> Execute:
    def run_py(function: str, then: str = "done", **settings: Any) -> Attempt:
        params = settings.pop("params", {"x": "3"})
        files = {name: text for name, text in FILES.items() if name != "json.py"}
        return execute({"+py": {"py>": function, **settings}, "+then": {"echo>": then}}, files=files, params=params)

    return run_py


def test_py_calls_a_function_of_the_project_and_its_result_goes_on(call: Execute, log_of: LogOf) -> None:
    attempt = call("tasks.add", then="${sum} ${twice}", y=5)

    assert (attempt.status, log_of(attempt)) == ("success", "adding 3 5 2026-03-01\n8 10\n")
    assert TaskRun.objects.get(attempt=attempt, position=1).store_params == {"sum": 8, "twice": 10}


def test_py_calls_methods_and_hands_over_what_a_function_takes(call: Execute, log_of: LogOf) -> None:
    assert log_of(call("tasks.Work.run")) == "method 3 +wf+py\ndone\n"
    assert log_of(call("tasks.Work.static")) == "static\ndone\n"
    assert log_of(call("tasks.everything", given="x")) == "['given']\ndone\n"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("tasks.boom", "ValueError: cannot use 3"),
        ("tasks.leave", "Python ended with exit code 4."),
        ("tasks.nothing", "There is no 'nothing' in 'tasks'."),
        ("nowhere.load", "There is no module 'nowhere' in the project's files; only a module of theirs can be called."),
        ("tasks", "'tasks' is not the name of a function in a module, such as tasks.load."),
        ("tasks.bad", "tasks.bad returned a mapping that is not JSON: Object of type set is not JSON serializable"),
        ("tasks;import os", "'tasks;import os' is not the name of a function in a module, such as tasks.load."),
    ],
)
def test_a_failed_call_says_why(call: Execute, function: str, message: str) -> None:
    attempt = call(function)

    assert (attempt.status, attempt.reason["message"], attempt.reason["task"]) == ("error", message, "+wf+py")


def test_a_missing_argument_is_named(call: Execute) -> None:
    assert call("tasks.add", params={}).reason["message"] == "tasks.add needs a value for x."


def test_the_traceback_is_in_the_log_from_the_projects_code_on(call: Execute, log_of: LogOf) -> None:
    text = log_of(call("tasks.boom"))

    assert 'tasks.py", line' in text
    assert "py_child" not in text
    assert text.endswith("ValueError: cannot use 3\n")


def test_files_of_the_project_may_have_names_of_the_standard_library(execute: Execute) -> None:
    files = {"json.py": "def run():\n    return {}\n", "inspect.py": "raise RuntimeError"}

    assert "json is an installed module" in execute({"+a": {"py>": "json.run"}}, files=files).reason["message"]
    assert execute({"+a": {"py>": "own.run"}}, files={**files, "own.py": "def run():\n    pass\n"}).status == "success"


# --- the lease -----------------------------------------------------------------------------------------------------


def test_when_the_lease_is_lost_nothing_is_written(queue: Execute, settings: Any, tmp_path: Path) -> None:
    settings.HINDCAST_WORK_DIR = tmp_path / "work"
    attempt = queue({"+a": {"echo>": "x"}, "+b": {"sh>": f"touch {tmp_path}/ran"}})
    claim = attempts.claim(lanes=[Lane.MANUAL], worker="old", now=attempt.created_at)
    assert claim is not None
    Attempt.objects.filter(pk=attempt.pk).update(lease_token=claim.token + 1)  # somebody else has it now

    run(Lease(claim, seconds()), clock=lambda: attempt.created_at)

    assert not TaskRun.objects.exists()
    assert not LogChunk.objects.exists()
    assert not (tmp_path / "ran").exists()
    assert Attempt.objects.get().status == AttemptStatus.RUNNING


def test_losing_the_lease_kills_the_child(queue: Execute, settings: Any, tmp_path: Path) -> None:
    settings.HINDCAST_WORK_DIR = tmp_path / "work"
    marker = f"4{os.getpid()}"
    attempt = queue({"+a": {"sh>": f"sleep {marker}"}})
    claim = attempts.claim(lanes=[Lane.MANUAL], worker="old", now=attempt.created_at)
    assert claim is not None
    lease = Lease(claim, seconds())
    lease.lose()

    started = time.monotonic()
    run(lease, clock=lambda: attempt.created_at)

    assert time.monotonic() - started < 2
    assert Attempt.objects.get().status == AttemptStatus.RUNNING
    assert gone(f"sleep {marker}")


def test_a_lease_that_was_not_renewed_in_time_is_lost(settings: Any) -> None:
    lease = Lease(attempts.Claim(1, 1), claimed_at=100.0)
    limit = settings.HINDCAST_LEASE_SECONDS - settings.HINDCAST_RENEW_SECONDS

    lease.enforce(100.0 + limit)
    lease.check()
    lease.enforce(100.1 + limit)

    with pytest.raises(LeaseLost):
        lease.check()


def test_no_thread_is_left_when_nothing_is_held() -> None:
    keeper.join()

    with keeper.hold(attempts.Claim(1, 1), claimed_at=seconds()):
        assert len(keeper._threads) == 2
    keeper.join()

    assert keeper._threads == {}


class Recorder:
    """Stands for a child: what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def terminate(self) -> None:
        self.asked.append("terminate")

    def kill(self) -> None:
        self.asked.append("kill")


def test_a_canceled_child_is_asked_to_end_and_killed_ten_seconds_later() -> None:
    lease, child = Lease(attempts.Claim(1, 1), claimed_at=seconds()), Recorder()

    with lease.over(child):
        lease.cancel()
        asked_at = seconds()
        lease.enforce(asked_at + 9.5)
        assert child.asked == ["terminate"]
        lease.enforce(asked_at + 10.5)

    assert child.asked == ["terminate", "kill"]


def test_a_child_that_starts_after_the_cancel_is_asked_at_once() -> None:
    lease, child = Lease(attempts.Claim(1, 1), claimed_at=seconds()), Recorder()
    lease.cancel()

    with lease.over(child):
        pass

    assert child.asked == ["terminate"]


def test_what_no_database_can_hold_is_made_storable(execute: Execute, log_of: LogOf) -> None:
    document = {"+a\0b": {"echo>": "x\0y", "n": float("nan"), "_export": {"k\0": "\ud800"}}}

    attempt = execute(document)

    assert (attempt.status, log_of(attempt)) == ("success", "xy\n")
    assert TaskRun.objects.get(attempt=attempt, position=1).config == {"echo>": "xy", "n": "nan", "_export": {"k": "?"}}


def test_what_a_killed_worker_left_of_the_workspace_is_removed_when_the_attempt_runs_again(
    queue: Callable[..., Attempt], settings: Any, tmp_path: Path
) -> None:
    settings.HINDCAST_WORK_DIR = tmp_path
    attempt = queue({"+a": {"sh>": "true"}}, lease_token=1)
    (tmp_path / f"{attempt.pk}.1" / "half").mkdir(parents=True)
    (tmp_path / f"{attempt.pk}1.1").mkdir()

    drain(Lane.MANUAL)

    assert [folder.name for folder in tmp_path.iterdir()] == [f"{attempt.pk}1.1"]
