"""`if>: ${condition}` runs the tasks of `_do` when the condition is true, those of `_else_do` when it is false."""

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.execution.made import Made
from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.repeating import command

NO = (False, None, "", "false", 0)


def run(task: Context) -> Outcome:
    condition = command(task)
    if condition is not True and condition not in NO:
        raise TaskFailed(f"The condition of if> is true or false, not {str(condition)[:50]!r}.")
    chosen = task.config.get("_do" if condition is True else "_else_do")
    if "_do" not in task.config and "_else_do" not in task.config:
        raise TaskFailed("if> has nothing to choose from: put tasks under _do: or _else_do:.")
    return Outcome(made=Made(chosen)) if chosen else NOTHING


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    if "_parallel" in config:
        yield "_parallel: says nothing to if>; put it under _do: or _else_do:, beside the tasks."


IF = Operator(run, in_process=True, inside=("_do", "_else_do"), check=problems)
