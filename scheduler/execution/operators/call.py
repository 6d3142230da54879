"""`call>: another` runs the tasks of another workflow of the same revision as if they stood here.

It sees this task's variables; what it stores is seen by later tasks here. The name may end in `.dig`.
"""

from scheduler.execution.made import Made
from scheduler.execution.operators.base import Context, Operator, Outcome
from scheduler.execution.template import as_text, render_all

ITS_OWN = ("timezone", "schedule")


def run(task: Context) -> Outcome:
    name = as_text(render_all(task.command, task.variables.__getitem__)).removesuffix(".dig")
    document = task.others.document(name)
    return Outcome(made=Made({key: value for key, value in document.items() if key not in ITS_OWN}))


CALL = Operator(run, in_process=True)
