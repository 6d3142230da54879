"""`py>: module.function` or `module.Class.method` calls Python of the project's files; a class stands for its `run`.

It runs in a process of its own. Its arguments are filled by name from the task's settings and the variables; a
mapping that it returns becomes variables for later tasks. As in Digdag, it may `import digdag`: `digdag.env.params`,
`.store`, `.export` and `.add_subtask`. `_env:` gives it variables of the environment.

    python:  the Python to take, with its arguments, such as /opt/conda/bin/python or [python3, -v]; also for all, in
             `_export:` under `py:`
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.execution import storable
from scheduler.execution.made import Made
from scheduler.execution.operators.base import Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.calling import called
from scheduler.execution.operators.environment import environment_of
from scheduler.execution.operators.program import words_of
from scheduler.execution.template import as_text, render_all

CHILD = Path(__file__).with_name("py_child.py")


def run(task: Context) -> Outcome:
    function = as_text(render_all(task.command, task.variables.__getitem__))
    call = {"function": function, "variables": dict(task.variables)}
    python = words_of("python", task.config.get("python", task.section("py").get("python")))
    said = storable.json_value(called(task, CHILD, call, env=environment_of(task), python=python))
    stored, subtasks, variables = (_mapping(said.get(key)) for key in ("stored", "subtasks", "variables"))
    made = Made({name: _task(config) for name, config in subtasks.items()}, variables) if subtasks else None
    return Outcome(stored, made)


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What can be seen to be wrong before the task runs."""
    try:
        words_of("python", config.get("python"))
    except TaskFailed as wrong:
        yield wrong.message


def _mapping(said: object) -> dict[str, Any]:
    """What the child wrote may have been written over by the function."""
    return said if isinstance(said, dict) else {}


def _task(config: object) -> Any:
    """A subtask as it is written in a file: `_type: echo` and `_command: Hi` are `echo>: Hi`."""
    if not isinstance(config, Mapping) or "_type" not in config:
        return config
    rest = {key: value for key, value in config.items() if key not in ("_type", "_command")}
    return {f"{config['_type']}>": config.get("_command"), **rest}


PY = Operator(run, takes_env=True, check=problems)
