"""What the child of `celery>` does: runs a registered task to its end, as a worker would."""

import json
from typing import Any

from celery import states

from scheduler.celery import app


def run(name: str, args: list[Any], kwargs: dict[str, Any], task_id: str) -> dict[str, Any]:
    """`{"stored": …}` with what the task returned, or `{"error": …}` with the type and the text of what it raised."""
    app.loader.import_default_modules()
    if name not in app.tasks:
        return {"error": f"There is no Celery task {name!r}."}
    ended = app.tasks[name].apply(args, kwargs, task_id=task_id, throw=False)
    if ended.state not in (states.SUCCESS, states.IGNORED):
        return {"error": told(ended.result)}
    return {"stored": {"celery": {"last_result": _as_json(ended.result)}}}


def told(error: object) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _as_json(result: object) -> object:
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        print(f"The task returned a {type(result).__name__}, which is not JSON: it is not kept.")  # noqa: T201
        return None
    return result
