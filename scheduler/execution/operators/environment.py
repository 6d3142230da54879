"""The environment of a command: what `_export` gives, and what the task's own `_env` says."""

import re
from collections.abc import Mapping

from scheduler.execution.operators.base import Context, TaskFailed
from scheduler.execution.template import as_text

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment_of(task: Context) -> dict[str, str]:
    """Only what the workflow's author says: a parameter of an attempt must not set PATH. Raises TaskFailed."""
    return {**_exported(task.exported()), **_own(task)}


def _exported(exported: Mapping[str, object]) -> dict[str, str]:
    return {name: as_text(value) for name, value in exported.items() if NAME.fullmatch(name)}


def _own(task: Context) -> dict[str, str]:
    """`_env`, whose texts may hold secrets; its names and kinds of values were checked with the plan."""
    return {name: _text(task, name, value) for name, value in task.config.get("_env", {}).items()}


def _text(task: Context, name: str, value: object) -> str:
    text = task.revealed(value) if isinstance(value, str) else as_text(value)
    if "\0" in text:
        raise TaskFailed(f"{name[:50]}: in _env: has a NUL in it, which no environment takes.")
    return text
