"""`require>: another` waits until another workflow has run for the same session time, and starts it
when it has not. No worker is held meanwhile.

    session_time:    another session time, with its offset from UTC
    project_name:    a workflow of another project, of its newest revision
    project_id:      the same, by the project's id
    ignore_failure:  true to go on when it failed
    rerun_on:        none (the default), failed, or all: whether a session that has run is run again, under a name
    params:          of an attempt that is started
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed, TryLater
from scheduler.execution.template import as_text, render_all

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 1.0, 10.0
BOTH = "A project is named by project_id: or by project_name:, not by both."
RERUN_ON = ("none", "failed", "all")


def run(task: Context) -> Outcome:
    if "attempt_id" not in task.kept:
        attempt_id = task.others.start(_name(task), **_settings(task))
        raise TryLater(0.0, {"attempt_id": attempt_id, "wait": FIRST_LOOK_SECONDS})
    attempt_id, wait = task.kept["attempt_id"], float(task.kept["wait"])
    status = task.others.status(attempt_id)
    if status is None:
        raise TryLater(wait, {"wait": min(wait * 1.5, LAST_LOOK_SECONDS)})
    if status != "success" and not _flag(task, "ignore_failure"):
        raise TaskFailed(f"{_name(task)} did not succeed: its attempt {attempt_id} is {status}.", attempt=attempt_id)
    return NOTHING


def _settings(task: Context) -> dict[str, Any]:
    rerun_on = str(task.variables.get("rerun_on", "none"))
    if rerun_on not in RERUN_ON:
        raise TaskFailed(f"rerun_on: is one of {', '.join(RERUN_ON)}, not {rerun_on[:50]!r}.")
    params = task.variables.get("params", {})
    if not isinstance(params, dict):
        raise TaskFailed("params: is a mapping.")
    return {"session_time": _session_time(task), "params": params, "rerun_on": rerun_on, "project": _project(task)}


def _project(task: Context) -> dict[str, str]:
    """How the task names another project; empty for its own."""
    named = {key: _own(task, f"project_{key}") for key in ("id", "name") if f"project_{key}" in task.config}
    if len(named) > 1:
        raise TaskFailed(BOTH)
    return named


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What can be seen to be wrong before the task runs."""
    if {"project_id", "project_name"} <= set(config):
        yield f"project_id: {BOTH}"


def _session_time(task: Context) -> datetime:
    text = _own(task, "session_time") if "session_time" in task.config else str(task.variables["session_time"])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise TaskFailed(f"session_time: is a time with its offset from UTC, not {text[:50]!r}.")
    return at


def _own(task: Context, key: str) -> str:
    """What the task itself says under the name of a built-in variable, which wins in `variables`."""
    return as_text(render_all(task.config[key], task.variables.__getitem__))


def _name(task: Context) -> str:
    return as_text(render_all(task.command, task.variables.__getitem__)).removesuffix(".dig")


def _flag(task: Context, name: str) -> bool:
    value = task.variables.get(name, False)
    if str(value).lower() not in ("true", "false"):
        raise TaskFailed(f"{name}: is true or false, not {str(value)[:50]!r}.")
    return str(value).lower() == "true"


REQUIRE = Operator(run, in_process=True, check=problems)
