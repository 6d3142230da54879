"""`call>: another` runs the tasks of another workflow of the same revision as if they stood here.

It sees this task's variables; what it stores is seen by later tasks here. The name may end in `.dig`. One in a folder
(`call>: common/load.dig`) is no workflow by itself; its tasks work in that folder.
"""

from scheduler.execution.made import FOLDER, Made
from scheduler.execution.operators.base import Context, Operator, Outcome
from scheduler.execution.template import as_text, render_all

ITS_OWN = ("timezone", "schedule")


def run(task: Context) -> Outcome:
    path = as_text(render_all(task.command, task.variables.__getitem__))
    document, folder = task.others.document(path, within=task.folder)
    config = {key: value for key, value in document.items() if key not in ITS_OWN}
    if folder == task.folder:
        return Outcome(made=Made(config))
    tasks = [name for name in config if name.startswith("+")]
    return Outcome(made=Made(config, {name: {FOLDER: folder} for name in tasks}))


CALL = Operator(run, in_process=True)
