"""`for_each>: {fruit: [apple, orange], verb: [eat, throw]}` runs `_do` for every combination, the last name fastest.

The names are the variables that it sees. The names of the tasks are Digdag's: `+for-0=fruit=1=orange&1=verb=0=eat`.
"""

import json
from itertools import product
from math import prod
from urllib.parse import quote

from scheduler.execution.operators.base import Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.repeating import MOST, command, parsed, repeated

SHOWN_LENGTH = 8


def run(task: Context) -> Outcome:
    given = command(task)
    if not isinstance(given, dict):
        raise TaskFailed("for_each> takes a mapping of names to lists.")
    lists = {name: _list(name, values) for name, values in given.items()}
    if prod(map(len, lists.values())) > MOST:
        raise TaskFailed(f"for_each> has {prod(map(len, lists.values()))} combinations; {MOST} is the most.")
    combinations = list(product(*(enumerate(values) for values in lists.values())))
    return repeated(task, {_name(lists, chosen): _variables(lists, chosen) for chosen in combinations})


def _list(name: str, values: object) -> list[object]:
    found = parsed(values)
    if not isinstance(found, list):
        raise TaskFailed(f"for_each> takes a list for {name!r}, not {str(values)[:50]!r}.")
    return found


def _variables(names: dict[str, list[object]], chosen: tuple[tuple[int, object], ...]) -> dict[str, object]:
    return {name: value for name, (_, value) in zip(names, chosen, strict=True)}


def _name(names: dict[str, list[object]], chosen: tuple[tuple[int, object], ...]) -> str:
    parts = (
        f"{position}={_shown(name)}={index}={_shown(value)}"
        for position, (name, (index, value)) in enumerate(zip(names, chosen, strict=True))
    )
    return f"+for-{'&'.join(parts)}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return quote(text[:SHOWN_LENGTH], safe="")


FOR_EACH = Operator(run, in_process=True, inside=("_do",))
