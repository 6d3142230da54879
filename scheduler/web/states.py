"""How every state looks: one colour, one shape and one word. Templates draw it through `hindcast/_state.html` alone."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.models import AttemptStatus, TaskState


@dataclass(frozen=True, slots=True)
class State:
    """`look` names the colour and shape in the stylesheet (`is-error`), `word` is what people read."""

    look: str
    word: str


MISSING = State("missing", "missing")
SKIPPED = State("skipped", "skipped")
WAITING = State("queued", "waits for its turn")
BEGUN = State("queued", "waits to go on")
ATTEMPT_STATES = {status.value: State(status.value, status.value) for status in AttemptStatus}
TASK_STATES = {
    TaskState.BLOCKED.value: State("queued", "blocked"),
    TaskState.READY.value: State("queued", "ready"),
    TaskState.RETRY_WAITING.value: State("queued", "waiting to go on"),
    TaskState.GROUP_RETRY_WAITING.value: State("queued", "waiting to run again"),
    TaskState.RUNNING.value: State("running", "running"),
    TaskState.PLANNED.value: State("running", "planned"),
    TaskState.SUCCESS.value: State("success", "success"),
    TaskState.ERROR.value: State("error", "error"),
    TaskState.GROUP_ERROR.value: State("error", "error below"),
    TaskState.CANCELED.value: State("killed", "canceled"),
}
LOOKS = ("success", "running", "queued", "error", "killed", "canceling", "missing", "skipped")
PROBLEMS = frozenset({"error", "killed", "canceling", "missing", "skipped"})
# In the order in which people want to read counts: what is wrong first.
COUNT_ORDER = ("error", "killed", "missing", "skipped", "canceling", "running", "queued", "success")


def counts_text(counts: dict[str, int]) -> str:
    """`2 error, 1 missing, 27 success`; states that do not occur are left out."""
    return ", ".join(f"{counts[look]:,} {look}" for look in COUNT_ORDER if counts.get(look))
