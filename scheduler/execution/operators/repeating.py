"""What `loop>`, `for_each>` and `for_range>` have in common: `_do`, once for each set of variables."""

from collections.abc import Mapping
from typing import Any

from projects.dig import directive_problems
from scheduler.execution import storable
from scheduler.execution.made import Made
from scheduler.execution.operators.base import NOTHING, Context, Outcome, TaskFailed
from scheduler.execution.template import render_all

MOST = 1000


def repeated(task: Context, variables: Mapping[str, Mapping[str, Any]]) -> Outcome:
    """`_do` as a task of each of these names, which sees these variables. Raises TaskFailed without a `_do`."""
    do = task.config.get("_do")
    if not isinstance(do, dict):
        raise TaskFailed("What is to be repeated is missing: put its tasks under _do:.")
    if not variables:
        return NOTHING
    return Outcome(made=Made(parallel(task, task.config), variables, each=do))


def parallel(task: Context, config: Mapping[str, Any]) -> dict[str, Any]:
    """The `_parallel` of a group or loop, its `${…}` replaced; {} without one. Raises TaskFailed."""
    if "_parallel" not in config:
        return {}
    said = parsed(render_all(config["_parallel"], task.variables.__getitem__))
    if isinstance(said, dict):
        said = {key: parsed(value) for key, value in said.items()}
    for problem in directive_problems("_parallel", said):
        raise TaskFailed(problem)
    return {"_parallel": said}


def command(task: Context) -> object:
    """What stands beside the operator, rendered; a text that is JSON counts as what it says (`${list}`)."""
    return parsed(render_all(task.command, task.variables.__getitem__))


def parsed(value: object) -> object:
    """What a text in JSON says; any other value as it is. Raises TooDeep."""
    if isinstance(value, str):
        try:
            return storable.json_value(storable.json_of(value))
        except ValueError:
            return value
    return value


def whole_number(value: object, what: str) -> int:
    """Raises TaskFailed."""
    number = parsed(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) > 2**53:
        raise TaskFailed(f"{what} is a whole number, not {str(value)[:50]!r}.")
    return number
