"""JavaScript expressions between `${` and `}`, evaluated by V8 (mini-racer) in a guarded child process.

Why a child: within the worker an expression could end all of it. Tried with mini-racer's own limits of 64 MB and 1 s:
`'a'.padEnd(2**28).split('')` aborts the process (SIGTRAP), `[].fill` and a growing Map cannot be stopped and hang it
as it ends, `'a'.repeat(2**28)` takes 1 GB. The child dies of those alone, and the next expression starts another.
It costs 66 MB (50 MB of its own) for each worker process that meets an expression, given back after a minute without
one; 0.2 s to start; about 1 ms for an expression. A fresh context for each would cost 4 ms, and mini-racer now and then
hangs as it closes one: instead there is one, and everything in it is frozen (realm.js).

`moment` is an object of ours, with the part of moment's interface that README.md lists. The packages that carry the
original (XStatic-moment 2.8.4, js.momentjs 2.13, XStatic-Moment-Timezone 0.5.22) are of 2014 to 2018, know the
zones of those years, or cannot be built any more. Ours asks Python's zones, as the timetable does: ICU's data in
mini-racer 0.14.1 differs from tzdata 2026.6 in 13 of them by the end of 2026, America/Vancouver among them.
"""

import json
import re
from collections.abc import Callable
from functools import cache

from scheduler.errors import HindcastError
from scheduler.execution.expressions.budget import one_budget, spend, spendable
from scheduler.execution.expressions.engine import Engine
from scheduler.execution.expressions.errors import DoesNotParse, ExpressionFailed, NoSuchName

__all__ = [
    "DoesNotParse",
    "ExpressionFailed",
    "NoSuchName",
    "evaluate",
    "one_budget",
    "own_engine",
    "parse",
    "spendable",
]

Lookup = Callable[[str], object]
NAME = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
SURROGATE = re.compile("[\ud800-\udfff]")

own_engine = cache(Engine)  # of this process; starts nothing before the first expression


def evaluate(expression: str, lookup: Lookup) -> str | None:
    """The value as text, as Digdag shows it: text as it is, null as nothing, all else as JSON; None for `undefined`.

    `lookup` raises KeyError for a name without a value. The expression is given each variable whose name stands
    anywhere in it, `timezone` besides. Raises DoesNotParse, NoSuchName, or ExpressionFailed for all else.
    """
    values, refused = _variables(expression, lookup)
    with one_budget():
        answer, seconds = own_engine().ask(_request(expression, values, lookup), spendable())
        spend(seconds)
    if answer.get("unknown") in refused:
        raise refused[answer["unknown"]]
    if "unknown" in answer:
        raise NoSuchName(answer["unknown"])
    if "syntax" in answer:
        raise DoesNotParse(answer["syntax"])
    if "error" in answer:
        raise ExpressionFailed(answer["error"])
    return None if answer.get("undefined") else SURROGATE.sub("\ufffd", answer["text"])


def parse(expression: str) -> None:
    """Raises DoesNotParse, or ExpressionFailed when that cannot be told."""
    with one_budget():
        request = json.dumps({"expression": expression, "variables": {}, "zone": "UTC", "dry": True})
        answer, seconds = own_engine().ask(request, spendable())
        spend(seconds)
    if "syntax" in answer:
        raise DoesNotParse(answer["syntax"])


def _variables(expression: str, lookup: Lookup) -> tuple[dict[str, object], dict[str, HindcastError]]:
    """What the words of the expression name, and the errors of those that have no value, which may be mere words."""
    values: dict[str, object] = {}
    refused: dict[str, HindcastError] = {}
    for name in dict.fromkeys(NAME.findall(expression)):
        try:
            values[name] = lookup(name)
        except KeyError:
            continue
        except HindcastError as error:
            refused[name] = error
    return values, refused


def _request(expression: str, values: dict[str, object], lookup: Lookup) -> str:
    try:
        zone = lookup("timezone")
    except (KeyError, HindcastError):
        zone = "UTC"
    try:
        return json.dumps({"expression": expression, "variables": values, "zone": zone}, allow_nan=False)
    except (TypeError, ValueError):
        raise ExpressionFailed("A variable of the expression is not JSON.") from None
