"""`for_range>: {from: 10, to: 50, step: 10}` runs `_do` for each part of a range, which `${range.from}`, `${range.to}`
(not included) and `${range.index}` tell. With `slices: 4` instead of a step it is cut into that many parts.
"""

from scheduler.execution.operators.base import Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.repeating import MOST, command, repeated, whole_number


def run(task: Context) -> Outcome:
    given = command(task)
    if not isinstance(given, dict) or {"from", "to"} - set(given) or len({"step", "slices"} & set(given)) != 1:
        raise TaskFailed("for_range> takes from:, to:, and either step: or slices:.")
    start, end = (whole_number(given[name], f"{name}: of for_range>") for name in ("from", "to"))
    step = _step(given, end - start)
    if (end - start) / step > MOST:
        raise TaskFailed(f"for_range> has {-(-(end - start) // step)} parts; {MOST} is the most.")
    parts = [(index, at, min(at + step, end)) for index, at in enumerate(range(start, end, step))]
    return repeated(
        task,
        {f"+range-from={at}&to={to}": {"range": {"index": index, "from": at, "to": to}} for index, at, to in parts},
    )


def _step(given: dict[str, object], length: int) -> int:
    name = "step" if "step" in given else "slices"
    number = whole_number(given[name], f"{name}: of for_range>")
    if number < 1:
        raise TaskFailed(f"{name}: of for_range> is at least 1, not {number}.")
    return number if name == "step" else max(-(-length // number), 1)


FOR_RANGE = Operator(run, in_process=True, inside=("_do",))
