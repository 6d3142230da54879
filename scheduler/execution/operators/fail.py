"""`fail>: message` ends the attempt in error with that message."""

from scheduler.execution.operators.base import Context, Operator, Outcome, TaskFailed
from scheduler.execution.template import as_text, render_all


def run(task: Context) -> Outcome:
    raise TaskFailed(as_text(render_all(task.command, task.variables.__getitem__)))


FAIL = Operator(run, in_process=True)
