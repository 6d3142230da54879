"""What a periodic task of Celery would be as a workflow: its schedule, and a `celery>` task that calls the same."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler.importing.drafts import Draft, checked, marked
from scheduler.importing.names import Names, name_from
from scheduler.importing.periodic_times import timing_of
from scheduler.importing.refusal import NotTaken

DEEPEST = 20  # lists and mappings inside each other


def mark_of(task: PeriodicTask) -> str:
    """The first line of the file that is made of it."""
    return marked(f"Tracks the periodic task {task.name!r}; tracking it again writes this file again.")


def draft_of(task: PeriodicTask, *, now: datetime, names: Names) -> Draft:
    """Its workflow takes one of the `names` that are left. Raises NotTaken."""
    timing = timing_of(task, now=now)
    for column, named in (("exchange", "an exchange"), ("routing_key", "a routing key")):
        if getattr(task, column):
            raise NotTaken(f"It is sent by {named} of its own. Give it a queue instead.")
    return checked(
        Draft(
            name=names.take(name_from(task.name, otherwise="task")),
            mark=mark_of(task),
            timezone=timing.timezone,
            schedule=timing.schedule,
            task=_call(task),
            about=tuple(line for line in task.description.splitlines() if line.strip()),
            notes=(*timing.notes, *_notes(task)),
        )
    )


def _call(task: PeriodicTask) -> dict[str, Any]:
    call: dict[str, Any] = {"celery>": _literal(task.task, "task")}
    if args := _loaded(task, "args", list):
        call["args"] = args
    if kwargs := _loaded(task, "kwargs", dict):
        call["kwargs"] = kwargs
    if task.queue:
        call["queue"] = _literal(task.queue, "queue")
    return call


def _loaded(task: PeriodicTask, column: str, kind: type) -> Any:
    try:
        value = json.loads(getattr(task, column) or "null", parse_constant=_no_number)
    except ValueError as error:
        raise NotTaken(f"Its {column} are no JSON: {error}.") from None
    except RecursionError:
        raise _too_deep(column) from None
    literal = _literal(value, column)
    if value is not None and not isinstance(value, kind):
        called = "a list" if kind is list else "a mapping"
        raise NotTaken(f"Its {column} are not {called}: {json.dumps(value)[:100]}.")
    return literal


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _too_deep(column: str) -> NotTaken:
    return NotTaken(f"Its {column} are nested more than {DEEPEST} deep.")


def _literal(value: Any, where: str, depth: int = 0) -> Any:
    """The value, written so that a workflow's file means just that: there, `$$` is a `$`."""
    if isinstance(value, str):
        if "${" in value:
            raise NotTaken(f"There is a ${{ in its {where}, which stands for a variable in a workflow's file.")
        return value.replace("$$", "$$$$")
    if depth > DEEPEST:
        raise _too_deep(where)
    if isinstance(value, list):
        return [_literal(item, where, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _literal(item, where, depth + 1) for key, item in value.items()}
    return value


def _notes(task: PeriodicTask) -> Iterator[str]:
    if task.queue:
        yield f"It is sent to the queue {task.queue!r}, as before."
    else:
        yield "It runs in a worker of Hindcast itself, as it names no queue."
    if task.priority is not None:
        yield "Its priority is not taken along."
    if _has_headers(task):
        yield "Its headers are not taken along."


def _has_headers(task: PeriodicTask) -> bool:
    return bool(task.headers) and task.headers.strip() not in ("", "{}", "null")
