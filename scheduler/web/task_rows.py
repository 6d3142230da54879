"""The tasks of an attempt as a tree: what failed and what runs is always in it, long stretches of the rest are not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from django.db.models import QuerySet

from scheduler.models import TaskRun, TaskState
from scheduler.models.task import TRIED_LATER
from scheduler.web.rows import text_of
from scheduler.web.states import COUNT_ORDER, TASK_STATES, State
from scheduler.web.times import Moment, duration, moment

LOADED = 2_000
SHOWN = 150
OF_EACH_GROUP = 20  # quiet tasks that stand for the others
FAILURES_SHOWN = 5
ERROR_LENGTH = 4_000
SHORT_ERROR = 300
DEEPEST = 6
TASK_DONE = frozenset({TaskState.SUCCESS, TaskState.ERROR, TaskState.GROUP_ERROR, TaskState.CANCELED})
QUIET = frozenset({"success", "queued"})  # looks that need nobody's eyes


@dataclass(frozen=True)
class TaskRow:
    """`depth` counts the groups around it, up to 6. `kind` is its operator (`sh>`), or `parallel` for such a group."""

    number: int
    name: str
    full_name: str
    depth: int
    state: State
    kind: str
    length: str
    error: str
    retries: int
    again: Moment | None


@dataclass(frozen=True)
class Gap:
    """A stretch of tasks that are left out, in words. `depth` is that of the first."""

    text: str
    depth: int


@dataclass(frozen=True)
class TaskTree:
    """`rows` are TaskRow and Gap, in the order of the document. `tallies` count tasks by state, without groups.

    `failures` are the tasks that failed themselves.
    """

    rows: Sequence[TaskRow | Gap] = ()
    tallies: Sequence[State] = ()
    failures: Sequence[TaskRow] = ()
    more_failures: int = 0
    total: int = 0
    is_cut: bool = False
    """There are more tasks than were looked at."""

    @property
    def has_gaps(self) -> bool:
        return self.is_cut or any(isinstance(row, Gap) for row in self.rows)


def light(tasks: QuerySet[TaskRun]) -> QuerySet[TaskRun]:
    """Without what no row shows, and without the workflow itself."""
    return tasks.filter(position__gt=0).order_by("position").defer("export_params", "store_params")


def task_tree(tasks: QuerySet[TaskRun], where: tzinfo, now: datetime) -> TaskTree:
    found = list(light(tasks)[: LOADED + 1])
    looked_at = found[:LOADED]
    failed = [task for task in looked_at if task.state == TaskState.ERROR]
    ordered = list(_in_order(looked_at))
    return TaskTree(
        rows=list(_with_gaps(ordered, _worth_showing(ordered), where, now)),
        tallies=_tallies([task for task in looked_at if not task.is_group]),
        failures=[task_row(task, where, now, longest=SHORT_ERROR) for task in failed[:FAILURES_SHOWN]],
        more_failures=max(len(failed) - FAILURES_SHOWN, 0),
        total=len(looked_at),
        is_cut=len(found) > LOADED,
    )


def _in_order(tasks: Sequence[TaskRun]) -> Iterator[TaskRun]:
    """As the document has them, each followed by what is inside it; what came up later stands with its group."""
    inside: dict[int, list[TaskRun]] = defaultdict(list)
    there = {task.position for task in tasks}
    for task in reversed(tasks):
        inside[task.parent if task.parent in there else 0].append(task)
    open_ = inside[0]
    while open_:
        task = open_.pop()
        yield task
        open_ += inside[task.position]


def _worth_showing(ordered: Sequence[TaskRun]) -> set[int]:
    """Positions of at most about SHOWN tasks, with the groups around them.

    First those that are not quiet, then the first ones of each group, outer groups before inner ones.
    """
    if len(ordered) <= SHOWN:
        return {task.position for task in ordered}
    groups = {task.position: task.parent for task in ordered}
    shown: set[int] = set()
    loud = [task for task in ordered if TASK_STATES[task.state].look not in QUIET]
    for task in (*loud, *sorted(_first_ones(ordered), key=_depth)):
        if len(shown) >= SHOWN:
            break
        around: int | None = task.position
        while around in groups and around not in shown:
            shown.add(around)
            around = groups[around]
    return shown


def _first_ones(ordered: Sequence[TaskRun]) -> Iterator[TaskRun]:
    seen = Counter[int | None]()
    for task in ordered:
        seen[task.parent] += 1
        if seen[task.parent] <= OF_EACH_GROUP:
            yield task


def _with_gaps(ordered: Sequence[TaskRun], shown: set[int], where: tzinfo, now: datetime) -> Iterator[TaskRow | Gap]:
    left_out: list[TaskRun] = []
    for task in ordered:
        if task.position not in shown:
            left_out.append(task)
            continue
        if left_out:
            yield _gap(left_out)
            left_out = []
        yield task_row(task, where, now)
    if left_out:
        yield _gap(left_out)


def _gap(tasks: Sequence[TaskRun]) -> Gap:
    words = ", ".join(state.word for state in _tallies(tasks))
    return Gap(f"{len(tasks):,} more: {words}" if len(tasks) > 1 else f"1 more, {words}", _depth(tasks[0]))


def _tallies(tasks: Sequence[TaskRun]) -> list[State]:
    """`2 error`, `3 blocked`: in the words of the rows, what is wrong first."""
    counts = Counter(TASK_STATES[task.state] for task in tasks)
    ordered = sorted(counts, key=lambda state: (COUNT_ORDER.index(state.look), state.word))
    return [State(state.look, f"{counts[state]:,} {state.word}") for state in ordered]


def task_row(task: TaskRun, where: tzinfo, now: datetime, *, longest: int = ERROR_LENGTH) -> TaskRow:
    ended = task.updated_at if task.state in TASK_DONE else now
    message = task.error.get("message", "") if isinstance(task.error, dict) else task.error
    return TaskRow(
        number=task.position,
        name=f"+{_parts(task)[-1]}"[:300],
        full_name=task.full_name[:1000],
        depth=_depth(task),
        state=TASK_STATES[task.state],
        kind=_kind(task.config, is_group=task.is_group),
        length=duration(ended - task.started_at) if task.started_at else "",
        error=text_of(message)[:longest],
        retries=_retries(task.state_params),
        again=moment(task.retry_at, where, now) if task.state in TRIED_LATER else None,
    )


def _parts(task: TaskRun) -> list[str]:
    return task.full_name.split("+")[1:] or [task.full_name]


def _depth(task: TaskRun) -> int:
    return min(max(len(_parts(task)) - 2, 0), DEEPEST)


def _kind(config: object, *, is_group: bool) -> str:
    said: Mapping[str, object] = config if isinstance(config, dict) else {}
    if is_group:
        return "parallel" if said.get("_parallel") else ""
    return next((key[:40] for key in said if key.endswith(">")), "")


def _retries(kept: object) -> int:
    said = kept.get("retries", 0) if isinstance(kept, dict) else 0
    return said if isinstance(said, int) else 0
