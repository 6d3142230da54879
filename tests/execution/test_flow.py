"""Workflows whose tasks do not simply follow one another, run in this process."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from projects.models import Revision
from scheduler.execution.drain import drain
from scheduler.models import Attempt, AttemptStatus, Lane, Session, TaskRun

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]
States = Callable[[Attempt], dict[str, str]]


def say(text: str, **settings: Any) -> dict[str, Any]:
    return {"echo>": text, **settings}


def together(*names: str) -> str:
    """A command that ends once commands of all these names have begun."""
    return f"touch {names[0]}; for n in {' '.join(names)}; do while ! test -e $n; do sleep 0.02; done; done"


def test_commands_of_a_parallel_group_run_at_the_same_time(execute: Execute, log_of: LogOf) -> None:
    document = {"+g": {"_parallel": True, "+a": {"sh>": together("a", "b")}, "+b": {"sh>": together("b", "a")}}}

    attempt = execute(document | {"+end": say("both")})

    assert (attempt.status, log_of(attempt)) == ("success", "both\n")


def test_no_more_run_at_the_same_time_than_the_worker_allows(execute: Execute, settings: Any, log_of: LogOf) -> None:
    settings.HINDCAST_PARALLEL_TASKS = 2
    count = "mkdir -p r; touch r/$$; ls r | wc -l; sleep 0.2; rm r/$$"

    attempt = execute({"_parallel": True, **{f"+t{number}": {"sh>": count} for number in range(5)}})

    assert (attempt.status, attempt.reason) == ("success", {})
    assert max(map(int, log_of(attempt).split())) <= 2


UNTIL_WOKEN = "for n in $(seq 200); do test -e woken && exit; sleep 0.05; done; exit 1"


def test_a_wait_ends_in_time_while_another_task_runs(execute: Execute) -> None:
    waits = {"+w": {"wait>": "1s"}, "+then": {"sh>": "touch woken"}}

    attempt = execute({"_parallel": True, "+waits": waits, "+long": {"sh>": UNTIL_WOKEN}})

    assert (attempt.status, attempt.reason) == ("success", {})


def test_a_task_is_tried_again_in_time_while_another_one_runs(execute: Execute) -> None:
    fails_once = {
        "sh>": "test -e tried && touch woken; touch tried; test -e woken",
        "_retry": {"limit": 1, "interval": 1},
    }

    attempt = execute({"_parallel": True, "+a": fails_once, "+long": {"sh>": UNTIL_WOKEN}})

    assert (attempt.status, attempt.reason) == ("success", {})


def test_tasks_that_need_the_projects_files_at_the_same_moment_all_have_them(execute: Execute) -> None:
    tasks = {f"+t{number}": {"sh>": "cat deep/data"} for number in range(4)}

    for _ in range(5):
        attempt = execute({"_parallel": True, **tasks}, files={"deep/data": "x"})
        assert (attempt.status, attempt.reason) == ("success", {})


def test_a_failed_task_beside_others_fails_the_attempt_when_they_have_ended(
    execute: Execute, log_of: LogOf, states: States
) -> None:
    document = {"+g": {"_parallel": True, "+a": {"sh>": "exit 3"}, "+b": {"sh>": "sleep 0.3; echo done"}}}

    attempt = execute({**document, "+c": say("never")})

    assert (attempt.status, attempt.reason["task"], attempt.reason["exit_code"]) == ("error", "+wf+g+a", 3)
    assert TaskRun.objects.get(full_name="+wf+g+b").error == {}
    assert log_of(attempt) == "done\n"
    assert states(attempt)["+wf+c"] == "blocked"


def test_error_runs_with_what_went_wrong(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"_error": say("why: ${error.message}"), "+a": {"fail>": "no rows"}})

    assert (attempt.status, attempt.reason) == ("error", {"message": "no rows", "task": "+wf+a"})
    assert log_of(attempt) == "why: no rows\n"


def test_retry_runs_a_task_until_it_succeeds(execute: Execute, log_of: LogOf) -> None:
    attempt = execute({"+a": {"sh>": "echo x >> tries; echo $(wc -l < tries); test $(wc -l < tries) = 3", "_retry": 4}})

    assert (attempt.status, log_of(attempt)) == ("success", "1\n2\n3\n")
    assert TaskRun.objects.get(attempt=attempt, position=1).state_params == {"retries": 2}


def test_an_attempt_that_only_waits_goes_back_into_the_queue(execute: Execute, log_of: LogOf, states: States) -> None:
    attempt = execute({"+a": say("before"), "+b": {"wait>": "1h"}, "+c": say("after")})

    assert (attempt.status, attempt.deliveries, log_of(attempt)) == ("queued", 0, "before\n")
    assert states(attempt) == {"+wf": "planned", "+wf+a": "success", "+wf+b": "retry_waiting", "+wf+c": "blocked"}
    assert drain(Lane.MANUAL) == 0

    TaskRun.objects.filter(full_name="+wf+b").update(
        retry_at=attempt.created_at, state_params={"until": attempt.created_at.isoformat()}
    )
    Attempt.objects.update(released_at=attempt.created_at)
    drain(Lane.MANUAL)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries, log_of(attempt)) == ("success", 1, "before\nafter\n")


def test_a_short_wait_is_sat_out(execute: Execute) -> None:
    attempt = execute({"+a": {"wait>": "1s"}})

    assert (attempt.status, attempt.lease_token) == ("success", 1)


@pytest.mark.parametrize("text", ["soon", "1x", "-1", "", "1h and a bit", "9999d"])
def test_a_wait_of_no_duration_fails(execute: Execute, text: str) -> None:
    assert "wait>" in execute({"+a": {"wait>": text}}).reason["message"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"loop>": 3, "_do": say("${i}")}, "0\n1\n2\n"),
        ({"loop>": "${2}".replace("2", "count"), "_do": {"+x": say("a${i}"), "+y": say("b${i}")}}, "a0\nb0\na1\nb1\n"),
        ({"loop>": 0, "_do": say("never")}, ""),
        ({"for_each>": {"a": [1, 2], "b": ["x", "y"]}, "_do": say("${a}${b}")}, "1x\n1y\n2x\n2y\n"),
        ({"for_each>": {"a": "${list}"}, "_do": say("${a}")}, "one\n${two}\n"),
        ({"for_range>": {"from": 0, "to": 7, "step": 3}, "_do": say("${range.from}-${range.to}")}, "0-3\n3-6\n6-7\n"),
        ({"for_range>": {"from": 0, "to": 7, "slices": 2}, "_do": say("${range.index}:${range.to}")}, "0:4\n1:7\n"),
        ({"if>": "${yes}", "_do": say("did")}, "did\n"),
        ({"if>": False, "_do": say("did"), "_else_do": say("else")}, "else\n"),
        ({"if>": False, "_do": say("did")}, ""),
    ],
)
def test_tasks_come_up(execute: Execute, log_of: LogOf, document: Mapping[str, Any], expected: str) -> None:
    exports = {"count": 2, "list": ["one", "${two}"], "yes": True}

    attempt = execute({"+a": dict(document)}, params=exports)

    assert (attempt.status, log_of(attempt), attempt.reason) == ("success", expected, {})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"loop>": "many", "_do": say("x")}, "is a whole number, not 'many'"),
        ({"loop>": 1001, "_do": say("x")}, "0 to 1000 times, not 1001"),
        ({"loop>": 2}, "put its tasks under _do:"),
        ({"loop>": 2, "_do": {"rm>": "x"}}, "no operator rm>"),
        ({"for_each>": [1], "_do": say("x")}, "a mapping of names to lists"),
        ({"for_each>": {"a": 1}, "_do": say("x")}, "a list for 'a', not '1'"),
        ({"for_each>": {"a": list(range(40)), "b": list(range(40))}, "_do": say("x")}, "1600 combinations"),
        ({"for_range>": {"from": 0, "to": 9}, "_do": say("x")}, "either step: or slices:"),
        ({"for_range>": {"from": 0, "to": 9, "step": 0}, "_do": say("x")}, "at least 1, not 0"),
        ({"for_range>": {"from": 0, "to": 10**9, "step": 1}, "_do": say("x")}, "1000000000 parts"),
        ({"if>": "perhaps", "_do": say("x")}, "true or false, not 'perhaps'"),
        ({"if>": True}, "under _do: or _else_do:"),
    ],
)
def test_what_cannot_come_up_fails_with_the_reason(execute: Execute, document: Mapping[str, Any], message: str) -> None:
    attempt = execute({"+a": dict(document)})

    assert attempt.status == "error"
    assert message in attempt.reason["message"]


def test_what_data_holds_is_never_evaluated(execute: Execute, log_of: LogOf) -> None:
    attempt = execute(
        {"+a": {"for_each>": {"v": "${data}"}, "_do": say("${v}")}}, params={"data": ["${session_time}", "plain"]}
    )

    assert log_of(attempt) == "${session_time}\nplain\n"


def test_what_a_loop_stored_is_seen_after_it(execute: Execute, log_of: LogOf) -> None:
    files = {"work.py": "def keep(i):\n    return {f'got{i}': i * 10}\n"}
    loop = {"loop>": 3, "_parallel": True, "_do": {"py>": "work.keep"}}

    attempt = execute({"+a": loop, "+b": say("${got0} ${got1} ${got2}")}, files=files)

    assert log_of(attempt) == "0 10 20\n"


def test_a_thousand_tasks_take_no_time_that_grows_with_their_square(execute: Execute) -> None:
    attempt = execute({f"+t{number}": say("x") for number in range(999)})

    assert attempt.status == "success"
    assert TaskRun.objects.filter(attempt=attempt, state="success").count() == 1000


# --- other workflows ------------------------------------------------------------------------------------------


@pytest.fixture
def beside(make_definition: Callable[..., Any]) -> Callable[..., None]:
    """beside(attempt, "other", {…}): another workflow in the attempt's revision."""

    def add(attempt: Attempt, name: str, document: Mapping[str, Any]) -> None:
        revision = attempt.definition.revision
        other = make_definition(name, dict(document), project=revision.project.name)
        other.revision = Revision.objects.get(pk=revision.pk)
        other.save()

    return add


def test_call_runs_the_tasks_of_another_workflow_here(
    queue: Any, beside: Callable[..., None], log_of: LogOf, states: States, settings: Any, tmp_path: Any
) -> None:
    settings.HINDCAST_WORK_DIR = tmp_path
    attempt = queue({"+a": {"call>": "other.dig", "_export": {"who": "you"}}, "+b": say("after")})
    beside(attempt, "other", {"timezone": "UTC", "schedule": {"daily>": "00:00:00"}, "+x": say("for ${who}")})

    drain(Lane.MANUAL)

    assert log_of(attempt) == "for you\nafter\n"
    assert list(states(attempt))[-2:] == ["+wf+a^sub", "+wf+a^sub+x"]
    assert Session.objects.count() == 1


def test_call_of_a_workflow_that_is_not_there_names_those_that_are(execute: Execute) -> None:
    assert "no workflow 'other' in this project; there are wf" in execute({"+a": {"call>": "other"}}).reason["message"]


FOLDERS = {
    "a/in.dig": "+x:\n  call>: ../up.dig\n",
    "a/gone.dig": "+x:\n  sh>: rm -r ../a\n+y:\n  sh>: pwd\n",
    "a/bad.dig": "+x:\n  eco>: x\n",
}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a/none", "There is no file 'a/none.dig' in this project."),
        ("a/bad.dig", "a/bad.dig:2:3: There is no operator eco>"),
        ("../a", "'../a' leads out of the project's files."),
        ("a/../../a", "leads out of the project's files."),
        ("/etc/passwd", "leads out of the project's files."),
        ("a/in", "There is no workflow 'up' in this project; there are wf."),
        ("a/gone", "There is no folder 'a' among the project's files."),
    ],
)
def test_a_call_of_what_is_not_there_says_so(execute: Execute, path: str, message: str) -> None:
    assert message in execute({"+a": {"call>": path}}, files=FOLDERS).reason["message"]


def test_no_data_moves_a_task_out_of_the_projects_files(execute: Execute) -> None:
    attempt = execute({"+a": {"for_each>": {"_workdir": "${data}"}, "_do": {"sh>": "pwd"}}}, params={"data": ["../.."]})

    assert attempt.reason["message"] == "There is no folder '../..' among the project's files."


def finish(attempt: Attempt, times: int = 20) -> Attempt:
    """Run whatever can run until the attempt is done."""
    for _ in range(times):
        Attempt.objects.filter(status=AttemptStatus.QUEUED).update(released_at=attempt.created_at)
        TaskRun.objects.filter(state="retry_waiting").update(retry_at=attempt.created_at)
        drain(Lane.MANUAL)
        attempt.refresh_from_db()
        if attempt.done:
            return attempt
    raise AssertionError(f"{attempt} is {attempt.status}")


def test_require_starts_the_other_workflow_for_the_same_session_and_waits(
    queue: Any, beside: Callable[..., None], log_of: LogOf
) -> None:
    attempt = queue({"+a": {"require>": "other"}, "+b": say("after")})
    beside(attempt, "other", {"+x": say("other")})

    assert finish(attempt).status == "success"

    other = Session.objects.exclude(pk=attempt.session_id).get()
    assert other.session_time == attempt.session.session_time
    assert [one.status for one in other.attempts.all()] == ["success"]


def test_require_fails_with_the_other_one_unless_told_otherwise(queue: Any, beside: Callable[..., None]) -> None:
    attempt = queue({"+a": {"require>": "other"}})
    beside(attempt, "other", {"+x": {"fail>": "no"}})

    reason = finish(attempt).reason
    assert "other did not succeed: its attempt" in reason["message"]

    second = queue({"+a": {"require>": "other", "ignore_failure": True}})
    beside(second, "other", {"+x": {"fail>": "no"}})
    assert finish(second).status == "success"


def test_require_runs_a_failed_session_again_when_asked(queue: Any, beside: Callable[..., None]) -> None:
    attempt = queue({"+a": {"require>": "other", "rerun_on": "all"}})
    beside(attempt, "other", {"+x": say("x")})
    assert finish(attempt).status == "success"
    other = Session.objects.exclude(pk=attempt.session_id).get()
    assert other.attempts.count() == 1

    Attempt.objects.filter(pk=attempt.pk).update(status="queued", finished_at=None, started_at=None)
    TaskRun.objects.filter(attempt=attempt).delete()
    assert finish(attempt).status == "success"

    assert [one.name for one in other.attempts.order_by("index")] == ["", f"required-by-{attempt.pk}"]


RERUN = {"require>": "other", "rerun_on": "failed"}


@pytest.mark.parametrize(
    ("document", "reruns"),
    [
        ({"+a": {**RERUN, "_retry": 1}}, ["1"]),
        ({"+g": {"_retry": 1, "+a": RERUN}}, ["1"]),
        ({"+g": {"_retry": 1, "+a": {**RERUN, "_retry": 1}}}, ["1-0", "0-1"]),
    ],
)
def test_a_retry_of_require_runs_what_failed_once_more(
    queue: Any, beside: Callable[..., None], tmp_path: Path, document: Mapping[str, Any], reruns: list[str]
) -> None:
    attempt = queue(document)
    fails = f"echo >> {tmp_path}/runs; test $(wc -l < {tmp_path}/runs) -gt {len(reruns)}"
    beside(attempt, "other", {"+x": {"sh>": fails}})

    assert finish(attempt).status == "success"

    other = Session.objects.exclude(pk=attempt.session_id).get()
    assert [(one.name, one.status) for one in other.attempts.order_by("index")] == [
        ("", "error"),
        *((f"required-by-{attempt.pk}-{rerun}", "error") for rerun in reruns[:-1]),
        (f"required-by-{attempt.pk}-{reruns[-1]}", "success"),
    ]
