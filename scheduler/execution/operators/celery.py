"""`celery>: shop.tasks.load` runs a task that is registered in the worker's Celery application.

    args:     a list
    kwargs:   a mapping
    queue:    a queue of the broker to send it to; without one it runs here, in a process of its own
    timeout:  how long it may take, such as 30m

What it returns is `${celery.last_result}` for later tasks. One that was sent to a queue is waited for where a result
backend tells what became of it (HINDCAST_RESULT_BACKEND), and no worker is held meanwhile; else it is done once the
broker has it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from celery import states
from celery.backends.base import DisabledBackend

from scheduler import dispatch, known_tasks
from scheduler.celery import app
from scheduler.execution import storable
from scheduler.execution.operators import said
from scheduler.execution.operators.base import Context, Operator, Outcome, TaskFailed, TryLater
from scheduler.execution.operators.celery_child import told
from scheduler.execution.operators.house import in_the_house, time_limit, time_limit_problems
from scheduler.execution.operators.repeating import parsed
from scheduler.execution.template import as_text, render_all

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 1.0, 10.0
BROKER_SECONDS = 10.0
CHILD = "scheduler.execution.operators.celery_child"
SEALED = "${secret:"


def run(task: Context) -> Outcome:
    name, queue = _text(task, task.command), _text(task, task.config.get("queue"))
    for problem in (*known_tasks.problems(name, queue), *_secret_problems(task.config)):
        raise TaskFailed(problem)
    if queue:
        return _sent(task, name, queue)
    call = {"name": name, "task_id": _new_id(task), **_arguments(task)}
    return Outcome(storable.json_value(in_the_house(task, CHILD, call, timeout=time_limit(task))["stored"]))


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What can be seen to be wrong before the task runs."""
    name, queue = config.get("celery>"), config.get("queue") or ""
    if not isinstance(name, str):
        yield "celery> takes the name of a task, such as shop.tasks.load."
    elif "${" not in name and "${" not in str(queue):
        yield from known_tasks.problems(name.strip(), str(queue))
    for key, kind, called in (("args", list, "a list"), ("kwargs", dict, "a mapping")):
        given = config.get(key)
        if given is not None and not isinstance(given, kind) and "${" not in str(given):
            yield f"{key}: of celery> is {called}, not {str(given)[:50]!r}."
    yield from _secret_problems(config)
    yield from time_limit_problems(config)


def _secret_problems(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("queue"):
        for key in ("args", "kwargs"):
            if SEALED in str(config.get(key)):
                yield f"{key}: a secret would stand in a message of the broker; leave out queue:, or the secret."


# --- here ---------------------------------------------------------------------------------------------------------


def _arguments(task: Context) -> dict[str, Any]:
    """`args` and `kwargs`; secrets in them have been refused where they are for a broker. Raises TaskFailed."""
    args, kwargs = (parsed(said.revealed(task, task.config.get(key))) for key in ("args", "kwargs"))
    if not isinstance(args or [], list):
        raise TaskFailed(f"args: of celery> is a list, not {str(args)[:50]!r}.")
    if not isinstance(kwargs or {}, dict):
        raise TaskFailed(f"kwargs: of celery> is a mapping, not {str(kwargs)[:50]!r}.")
    return {"args": args or [], "kwargs": kwargs or {}}


def _text(task: Context, value: object) -> str:
    return as_text(render_all(value, task.variables.__getitem__)).strip()


def _new_id(task: Context) -> str:
    return f"{task.variables['attempt_id']}.{uuid4()}"


# --- in a queue ---------------------------------------------------------------------------------------------------


def _sent(task: Context, name: str, queue: str) -> Outcome:
    """In three steps, so that the id is written down before the message leaves: a later delivery uses it again."""
    sending = task.kept.get("celery", {})
    if sending.get("try") != task.kept.get("retries", 0):
        raise TryLater(0.0, {"celery": {"try": task.kept.get("retries", 0), "id": _new_id(task)}})
    waits = _is_heard_of(name)
    if "sent_at" not in sending:
        if not (waits and _state(sending["id"]) != states.PENDING):
            _send(task, name, queue, sending["id"], heard_of=waits)
        if not waits:
            return Outcome()
        raise TryLater(FIRST_LOOK_SECONDS, {"celery": {**sending, "sent_at": task.now.isoformat(), "wait": 1.0}})
    return _awaited(task, sending)


def _is_heard_of(name: str) -> bool:
    """Whether its result will be somewhere. What a task of another worker does with its own, we cannot know."""
    here = app.tasks.get(name)
    return not isinstance(app.backend, DisabledBackend) and not (here is not None and here.ignore_result)


def _send(task: Context, name: str, queue: str, task_id: str, *, heard_of: bool) -> None:
    try:
        dispatch.deliver(name, **_arguments(task), task_id=task_id, queue=queue, heard_of=heard_of)
    except dispatch.broker_errors() as error:
        _say(task, f"The broker did not take the task ({error}); trying again in {BROKER_SECONDS:g} s.")
        raise TryLater(BROKER_SECONDS, {}) from None
    until = "waiting for its result" if heard_of else "done, as nobody here hears of its result"
    _say(task, f"Sent to the queue {queue} as {task_id}: {until}.")


def _awaited(task: Context, sending: Mapping[str, Any]) -> Outcome:
    state = _state(sending["id"])
    if state == states.SUCCESS:
        result = storable.json_value(app.AsyncResult(sending["id"]).result)
        return Outcome({"celery": {"last_result": result}})
    if state in states.EXCEPTION_STATES - {states.RETRY}:
        raise TaskFailed(storable.text(_failure(sending["id"], state)), task_id=sending["id"])
    limit = time_limit(task)
    if limit is not None and (task.now - datetime.fromisoformat(sending["sent_at"])).total_seconds() > limit:
        dispatch.revoke([sending["id"]])
        raise TaskFailed(f"It took longer than {limit:g} s, and was revoked.", timeout=limit, task_id=sending["id"])
    wait = min(sending["wait"] * 1.5, LAST_LOOK_SECONDS)
    raise TryLater(sending["wait"], {"celery": {**sending, "wait": wait}})


def _failure(task_id: str, state: str) -> str:
    if state == states.REVOKED:
        return "The task was revoked."
    return told(app.AsyncResult(task_id).result)


def _state(task_id: str) -> str:
    """Raises TryLater while the result backend is away, TooDeep for a result that cannot be read."""
    try:
        return str(app.AsyncResult(task_id).state)
    except RecursionError:
        raise storable.TooDeep from None
    except (OSError, *getattr(app.backend, "connection_errors", ()), *getattr(app.backend, "channel_errors", ())):
        raise TryLater(BROKER_SECONDS, {}) from None


def _say(task: Context, line: str) -> None:
    task.write(f"{line}\n".encode("utf-8", "replace"))


CELERY = Operator(run, check=problems)
