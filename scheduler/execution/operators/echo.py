"""`echo>: text` writes a line to the log."""

from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome
from scheduler.execution.template import as_text, render_all


def run(task: Context) -> Outcome:
    message = as_text(render_all(task.command, task.variables.__getitem__))
    task.write(f"{message}\n".encode("utf-8", "replace"))
    return NOTHING


ECHO = Operator(run, in_process=True)
