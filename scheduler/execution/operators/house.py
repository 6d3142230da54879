"""What `celery>` and `manage>` have in common: code that is installed here runs with what the worker itself has.

Its environment holds the keys of the house. It travels over a socket, and never stands in /proc/<pid>/environ nor in a
file that is open.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.execution.operators.base import Context, TaskFailed
from scheduler.execution.operators.calling import MOST_BYTES, answered
from scheduler.execution.operators.told import told
from scheduler.execution.operators.wait import duration
from scheduler.execution.template import as_text, render_all

CHILD = Path(__file__).with_name("house_child.py")


def in_the_house(task: Context, module: str, call: Mapping[str, Any], *, timeout: float | None) -> dict[str, Any]:
    """What `run(**call)` of a module beside this one answers, in a child process. Raises TaskFailed."""
    request = {
        "environment": {**os.environ, "HINDCAST_PLAIN_LOGS": "1", "CELERY_SKIP_CHECKS": "1"},
        "path": [os.path.abspath(folder) for folder in sys.path],
        "folder": os.getcwd(),
        "module": module,
        "call": call,
    }
    program = [sys.executable, "-I", str(CHILD)]
    code, answer = told(task, program, json.dumps(request).encode(), env={}, most_bytes=MOST_BYTES, timeout=timeout)
    return answered(answer, code)


def time_limit(task: Context) -> float | None:
    """The `timeout:` of the task in seconds, such as 30s or 1h 30m; None without one. Raises TaskFailed."""
    if task.config.get("timeout") is None:
        return None
    return _seconds(as_text(render_all(task.config["timeout"], task.variables.__getitem__)))


def time_limit_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What can be seen to be wrong with a `timeout:` before the task runs."""
    said = config.get("timeout")
    if said is not None and "${" not in str(said):
        try:
            _seconds(as_text(said))
        except TaskFailed as wrong:
            yield wrong.message


def _seconds(text: str) -> float:
    seconds = duration(text, "timeout:").total_seconds()
    if seconds <= 0:
        raise TaskFailed("timeout: is at least 1s.")
    return seconds
