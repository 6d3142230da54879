"""What a command, a function or an expression that means harm gets: each row of the attack list by its number.

What holds without a user of its own for each attempt is here; README says what does not.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts import kill
from scheduler.models import Attempt
from tests.dig.language import refusals
from tests.execution.test_run import gone

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]


@pytest.mark.parametrize(
    "value", ["; id", "$(id)", "`id`", "a\nid", "-oProxyCommand=id", "\\", "'", "${HOME}", "&& id"]
)
def test_59_a_value_in_a_command_is_literal_text_for_every_shell(execute: Execute, log_of: LogOf, value: str) -> None:
    command = "printf '%s|' ${x} \"${x}\" '${x}'; cat <<END\n${x}\nEND"
    document = {"+sh": {"sh>": command}, "+bash": {"sh>": command, "shell": "bash"}}

    attempt = execute(document, params={"x": value})

    assert log_of(attempt) == f"{value}|{value}|{value}|{value}\n" * 2


@pytest.mark.parametrize("exported", [{}, {"_export": {"BASH_ENV": "", "LD_PRELOAD": ""}}])
def test_59_data_names_no_variable_of_the_environment(execute: Execute, log_of: LogOf, exported: Any) -> None:
    document = {
        "for_each>": "${todo}",
        "_do": {"sh>": "echo ${BASH_ENV} $LD_PRELOAD $written", "shell": "bash"},
    }
    todo = {"BASH_ENV": ["evil.sh"], "LD_PRELOAD": ["evil.so"]}

    attempt = execute(
        {**exported, "+a": {"for_each>": {"written": [1, 2]}, "_do": document}},
        params={"todo": todo},
        files={"evil.sh": "echo PWNED"},
    )

    assert (attempt.reason, log_of(attempt)) == ({}, "evil.sh 1\nevil.sh 2\n")


def test_60_a_value_becomes_no_option_of_a_management_command(execute: Execute, settings: Any) -> None:
    settings.HINDCAST_MANAGE_COMMANDS = ["restock"]

    attempt = execute({"+a": {"manage>": "restock ${x}"}}, params={"x": "--upload-pack=id"})

    assert "would be an option" in attempt.reason["message"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("'a' * 10 ** 10", "which is no number of JSON"),
        ("9 ** 9 ** 9", "which is no number of JSON"),
        ("'a'.repeat(10 ** 10)", "Invalid string length"),
        ("'a'.repeat(10 ** 7)", "more than 1048576 characters"),
        ("(() => { while (true); })()", "more than 1 s of computing"),
        ("process.env", "There is no variable 'process.env'"),
        ("[].constructor.constructor('return this')()", "not a function"),
    ],
)
def test_61_an_expression_ends_within_a_second_or_two(execute: Execute, expression: str, message: str) -> None:
    execute({"+a": {"echo>": "${1 + 1}"}}, name="warm")  # the engine takes its time to start
    started = time.thread_time(), time.monotonic()

    attempt = execute({"+a": {"echo>": f"${{{expression}}}"}})

    assert message in attempt.reason["message"]
    assert time.thread_time() - started[0] < 1
    assert time.monotonic() - started[1] < 10


def test_61_what_is_no_expression_is_refused_in_the_file_and_braces_are_text(execute: Execute, log_of: LogOf) -> None:
    assert "SyntaxError" in refusals("+a: {echo>: '${().__class__.__mro__}'}")[0]
    assert log_of(execute({"+a": {"echo>": "{{7*7}}"}})) == "{{7*7}}\n"


@pytest.mark.processes
def test_62_a_command_finds_no_key_of_the_house(
    start_worker: Callable[..., Any], start: Execute, ended: Execute, log_of: LogOf
) -> None:
    keys = {"SECRET_KEY": "a canary that is fifty letters long, or else it is refused", "HINDCAST_CANARY": "canary"}
    worker = start_worker("threads", **keys)
    peek = (
        f"cat /proc/$PPID/environ /proc/{worker.pid}/environ /proc/self/environ /proc/{worker.pid}/cmdline; echo; env"
    )
    script = f"import os\ndef run():\n    print(open('/proc/{worker.pid}/environ').read(), dict(os.environ))\n"
    document = {"+sh": {"sh>": peek}, "+py": {"py>": "work.run"}, "+end": {"echo>": "seen"}}

    attempt = ended(start(document, files={"work.py": script}), timeout=30)

    assert attempt.reason == {}
    assert log_of(attempt).endswith("seen\n")
    assert not [key for key in ("canary", "SECRET_KEY", "DATABASE_URL", "BROKER_URL") if key in log_of(attempt)]


def test_63_the_folder_of_an_attempt_is_gone_with_it_and_closed_to_other_users(
    execute: Execute, log_of: LogOf, tmp_path: Path
) -> None:
    """One attempt after the other finds nothing of it; beside each other they have the same user."""
    attempt = execute({"+a": {"sh>": "pwd; stat -c %a .; echo private > file"}})
    folder, mode = log_of(attempt).splitlines()
    other = execute({"+a": {"sh>": f"cat {folder}/file || ls {tmp_path}/work"}}, name="other")

    assert mode == "700"
    assert "private" not in log_of(other)
    assert folder.rpartition("/")[2] not in log_of(other).splitlines()


BREEDER = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
def breed(depth):
    for _ in range(3):
        if os.fork() == 0:
            if depth % 2:
                os.setsid()
            if depth < 3:
                breed(depth + 1)
            time.sleep(120)
            os._exit(0)
breed(0)
print("bred", flush=True)
time.sleep(float(sys.argv[2]))
"""
WAYS = {
    "a daemon that forked twice": "(setsid sh -c 'sleep 97; : MARK' >/dev/null 2>&1 &) ; echo bred; sleep 1",
    "nohup and setsid": "nohup setsid sleep 97MARK >/dev/null 2>&1 & nohup sleep 96MARK & echo bred; sleep 1",
    "many that ignore every signal": "python3 breeder.py MARK 1",
    "one that is told to end and does not": "python3 breeder.py MARK 100",
}


@pytest.mark.processes
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_64_nothing_is_left_of_a_command_whatever_it_tried(
    start_worker: Callable[..., Any],
    start: Execute,
    running: Callable[..., None],
    ended: Execute,
    now: Any,
    pool: str,
) -> None:
    start_worker(pool)
    marks = {way: f"{os.getpid()}{number}" for number, way in enumerate(WAYS)}
    attempts = {
        way: start({"+a": {"sh>": command.replace("MARK", marks[way])}}, files={"breeder.py": BREEDER})
        for way, command in WAYS.items()
    }
    last = attempts["one that is told to end and does not"]
    running(last, "bred")
    kill(last.pk, now=now)

    for way, attempt in attempts.items():
        assert ended(attempt, timeout=40).status == ("killed" if attempt == last else "success"), way
    assert [way for way, mark in marks.items() if not gone(mark)] == []


@pytest.mark.processes
def test_64_an_orphan_is_left_alone_while_its_command_runs_and_leaves_no_zombie(
    live_worker: Any, start: Execute, ended: Execute, log_of: LogOf
) -> None:
    document = {
        "+a": {
            "_parallel": True,
            "+long": {"sh>": "(setsid sh -c 'sleep 2; echo done > there' &) ; sleep 3; cat there"},
            "+short": {"sh>": "(setsid true &); setsid true & sleep 0.2"},
        },
        "+b": {"sh>": "true"},
    }

    attempt = ended(start(document), timeout=30)

    listed = subprocess.run(["ps", "-eo", "ppid,stat,args"], capture_output=True, text=True, check=True).stdout
    children = [line.split(None, 2) for line in listed.splitlines()]
    assert (attempt.reason, log_of(attempt)) == ({}, "done\n")
    assert [args for ppid, stat, args in children if ppid == str(live_worker.pid) and stat.startswith("Z")] == []


def test_64_a_log_without_end_is_cut_and_held_in_little_memory(execute: Execute, log_of: LogOf, settings: Any) -> None:
    settings.HINDCAST_LOG_LIMIT_BYTES = 50_000

    attempt = execute({"+a": {"sh>": "yes 0123456789abcdef | head -c 100000000"}})

    assert attempt.status == "success"
    assert len(log_of(attempt)) < 51_000
    assert log_of(attempt).endswith("[The log ends here: 50000 bytes is the most.]\n")
