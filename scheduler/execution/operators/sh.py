"""`sh>: command` runs a command of the shell in the project's files.

A value never becomes shell code: it travels in the environment, and `${x}` becomes a quoted reference to it.
"""

from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.environment import exported_environment
from scheduler.execution.operators.shell_text import referenced


def run(task: Context) -> Outcome:
    command, values = referenced(str(task.command), task.variables.__getitem__)
    code = task.spawn(command, env={**exported_environment(task.exported()), **values})
    if code:
        raise TaskFailed(f"The command ended with exit code {code}.", exit_code=code)
    return NOTHING


SH = Operator(run)
