"""`py>: module.function` or `module.Class.method` calls Python of the project's files, or else an installed one.

It runs in a process of its own. Its arguments are filled by name from the task's settings and the variables; a
mapping that it returns becomes variables for later tasks.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from scheduler.execution import storable
from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.environment import exported_environment
from scheduler.execution.template import as_text, render_all

CALLER = Path(__file__).with_name("py_child.py")
MOST_BYTES = 1024 * 1024


def run(task: Context) -> Outcome:
    function = as_text(render_all(task.command, task.variables.__getitem__))
    call = {"function": function, "variables": dict(task.variables)}
    with tempfile.TemporaryFile() as request, tempfile.TemporaryFile() as answer:
        request.write(json.dumps(call).encode())
        request.seek(0)
        files = [request.fileno(), answer.fileno()]
        code = task.spawn(
            'exec "$0" "$@"',
            [sys.executable, "-I", str(CALLER), *map(str, files)],
            env=exported_environment(task.exported()),
            pass_fds=files,
        )
        return _result(code, _read(answer))


def _read(answer: IO[bytes]) -> dict[str, Any]:
    """What the child left; empty when it ended before it could, or wrote over it."""
    answer.seek(0)
    content = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TaskFailed(f"The function returned more than {MOST_BYTES} bytes.")
    try:
        said = json.loads(content or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _result(code: int, said: dict[str, Any]) -> Outcome:
    if "error" in said:
        raise TaskFailed(storable.text(str(said["error"])), exit_code=code)
    if code:
        raise TaskFailed(f"Python ended with exit code {code}.", exit_code=code)
    stored = said.get("stored")
    return Outcome(storable.json_value(stored)) if isinstance(stored, dict) else NOTHING


PY = Operator(run)
