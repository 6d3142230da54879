"""`wait>: 1m 30s` lets the time pass. It holds no worker meanwhile."""

import re
from datetime import datetime, timedelta

from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed, TryLater
from scheduler.execution.template import as_text, render_all

PART = re.compile(r"(\d{1,9})\s*([dhms]?)\s*", re.ASCII)
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}
LONGEST = timedelta(days=366)


def run(task: Context) -> Outcome:
    if "until" not in task.kept:
        wait = duration(as_text(render_all(task.command, task.variables.__getitem__)))
        until = task.now + wait
    else:
        until = datetime.fromisoformat(task.kept["until"])
    seconds = (until - task.now).total_seconds()
    if seconds > 0:
        raise TryLater(seconds, {"until": until.isoformat()})
    return NOTHING


def duration(text: str, what: str = "wait>") -> timedelta:
    """`90`, `90s`, `1m 30s`, `2h`, `1d`. Raises TaskFailed, naming `what` it is for."""
    parts = PART.findall(text.strip())
    if not parts or "".join(PART.split(text.strip())[::3]):
        raise TaskFailed(f"{what} takes a duration such as 30s, 5m or 1h 30m, not {text[:50]!r}.")
    wait = timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))
    if wait > LONGEST:
        raise TaskFailed(f"{what} is at most {LONGEST.days} days, not {wait.days}.")
    return wait


WAIT = Operator(run, in_process=True)
