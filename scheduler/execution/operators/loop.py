"""`loop>: 3` runs the tasks of `_do` three times, with `${i}` counting from 0; one after the other, or `_parallel`."""

from scheduler.execution.operators.base import Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.repeating import MOST, command, repeated, whole_number


def run(task: Context) -> Outcome:
    count = whole_number(command(task), "The number of times of loop>")
    if not 0 <= count <= MOST:
        raise TaskFailed(f"loop> repeats from 0 to {MOST} times, not {count}.")
    return repeated(task, {f"+loop-{i}": {"i": i} for i in range(count)})


LOOP = Operator(run, in_process=True, inside=("_do",))
