"""A group of tasks whose `_parallel:` is a `${…}`: it is known once the group starts, which then makes its tasks.

No file names it; `plan` writes it in the place of such a group.
"""

from scheduler.execution.made import Made
from scheduler.execution.operators.base import Context, Operator, Outcome
from scheduler.execution.operators.repeating import parallel


def run(task: Context) -> Outcome:
    return Outcome(made=Made({**task.command, **parallel(task, task.command)}))


GROUP = Operator(run, in_process=True)
