"""The tasks of an attempt under way: what may run next, and what follows from how each one ended. PURE.

A group is done when all of its children are; a failed child leaves those after it blocked, and fails the group once
the others that started have ended. Tasks that come up meanwhile are children of their own kind:

    ^sub    what an operator made (`loop>`), run before the task counts as done
    ^check  `_check`, run after success; when it fails, so does the task
    ^error  `_error`, run when no retry is left, before the task counts as failed

So a task goes: itself, its `^sub`, its `^check`, done; or, when one of them fails: `_retry`, `^error`, failed. Nothing
here knows of threads or the database: a caller takes ready tasks, and says what became of them and when.
"""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from projects.dig import MOST_TASKS
from scheduler.execution.made import Json, Made
from scheduler.execution.plan import PlanRefused, Spec, part
from scheduler.execution.task import CHECK, ENDED, ERROR, FAILED, SUB, Before, Task
from scheduler.models import TaskState
from scheduler.models.task import TRIED_LATER


class Tree:
    """All tasks of one attempt, by position. `changed` holds those that moved; whoever writes them down empties it."""

    def __init__(
        self, root: Spec, *, before: Mapping[str, Before], now: datetime, again_from: int | None = None
    ) -> None:
        """`before` is what is known of tasks by full name; from the position `again_from` on it does not count.

        All that the document has is there from the start, in its order.
        """
        self.tasks: dict[int, Task] = {}
        self.changed: set[Task] = set()
        self._now = now
        self._before = dict(before)
        self._positions = {name: task.position for name, task in before.items() if task.position is not None}
        self._last_position = max(self._positions.values(), default=-1)
        self._ready: deque[Task] = deque()
        self._starting: deque[Task] = deque()
        self._waiting: set[Task] = set()
        self._again_from: tuple[int, ...] | None = None
        self.root = self._add(root, None, root.name, (), {})
        if again_from is not None and again_from in self.tasks:
            self._again_from = self.tasks[again_from].order
            for task in self.tasks.values():
                task.before = None if self._runs_again(task.order) else task.before
        self._starting.append(self.root)
        self._settle(now)

    # --- what the caller asks and says --------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        return self.root.state in ENDED

    @property
    def ready(self) -> int:
        """How many could run now."""
        return len(self._ready)

    @property
    def wakes_at(self) -> datetime | None:
        """When the first of those that wait runs again."""
        return min((task.retry_at for task in self._waiting if task.retry_at), default=None)

    def take(self, now: datetime) -> Task:
        """The next ready task, which runs from now on."""
        task = self._ready.popleft()
        self._now = now
        self._move(task, TaskState.RUNNING)
        return task

    def succeed(self, task: Task, stored: Json, made: Made | None, now: datetime) -> None:
        """The task did what it had to; what it made runs now."""
        self._now = now
        self._store(task, stored)
        if made is None:
            self._check(task)
        else:
            task.kept = {**task.kept, "made": made.as_json()}
            self._make(task, made)
        self._settle(now)

    def fail(self, task: Task, error: Json, now: datetime) -> None:
        """The task failed: it is tried again, or what `_error` says runs, or that was it. `error` has a `message`."""
        self._now = now
        self._failed(task, error)
        self._settle(now)

    def try_later(self, task: Task, kept: Json, *, at: datetime, now: datetime) -> None:
        """The task is not done and has not failed: it runs again from `at` on, with what it keeps."""
        self._now = now
        task.kept = {**task.kept, **kept}
        self._wait(task, at)

    def wake(self, now: datetime) -> None:
        """Start again what has waited until now."""
        self._now = now
        due = [task for task in self._waiting if task.retry_at is not None and task.retry_at <= now]
        for task in sorted(due, key=lambda task: task.order):
            self._again(task)
        self._settle(now)

    def cancel(self, now: datetime) -> None:
        """Whatever has not ended is canceled, and nothing starts any more."""
        self._now = now
        self._ready.clear()
        self._waiting.clear()
        for task in self.tasks.values():
            if task.state not in ENDED:
                self._move(task, TaskState.CANCELED)

    # --- growing ------------------------------------------------------------------------------------------------

    def _add(self, spec: Spec, parent: Task | None, full_name: str, order: tuple[int, ...], variables: Json) -> Task:
        before = None if self._runs_again(order) else self._before.get(full_name)
        position = self._positions.get(full_name)
        if position is None:
            position = self._positions[full_name] = self._last_position = self._last_position + 1
        task = Task(spec, position, full_name, parent, order, variables, before=before, updated_at=self._now)
        if position in self.tasks:  # it came up before, and was forgotten
            self.changed.discard(self.tasks[position])
        self.tasks[position] = task
        self.changed.add(task)
        for index, inside in enumerate(spec.children):
            task.children.append(self._add(inside, task, full_name + inside.name, (*order, index), {}))
        for child, upstreams in zip(task.children, spec.upstreams(), strict=True):
            child.upstreams = tuple(task.children[index] for index in upstreams)
            for upstream in child.upstreams:
                upstream.followers.append(child)
        return task

    def _runs_again(self, order: tuple[int, ...]) -> bool:
        """Whether a task stands at, after, or around the one from which all are run again."""
        start = self._again_from
        return start is not None and (order >= start or start[: len(order)] == order)

    def _grow(self, parent: Task, spec: Spec, variables: Json) -> Task:
        """A task that is not in the document: `^sub`, `^check`, `^error`. Raises PlanRefused."""
        if len(self.tasks) - 1 + spec.size > MOST_TASKS:  # the workflow itself is none
            raise PlanRefused(parent.full_name, f"With what came up inside it there are more than {MOST_TASKS} tasks.")
        order = (*parent.order, len(parent.children) + len(parent.made))
        task = self._add(spec, parent, parent.full_name + spec.name, order, variables)
        parent.made.append(task)
        return task

    def _grow_made(self, task: Task, made: Made) -> Task:
        """What an operator made. Raises PlanRefused."""
        spec = part(SUB, made.group, parent=task.full_name, depth=task.depth + 1)
        if made.each is not None:
            spec = spec.repeated(made.variables)
        group = self._grow(task, spec, {})
        for child in group.children:
            child.variables = made.variables.get(child.spec.name, {})
        return group

    def _make(self, task: Task, made: Made) -> None:
        try:
            group = self._grow_made(task, made)
        except PlanRefused as refusal:
            self._failed(task, {"message": refusal.message})
        else:
            self._move(task, TaskState.PLANNED)
            self._starting.append(group)

    def _come_up(self, task: Task, spec: Spec, variables: Json) -> None:
        try:
            after = self._grow(task, spec, variables)
        except PlanRefused as refusal:
            task.error = task.error or {"message": refusal.message}
            self._end_badly(task)
        else:
            self._move(task, TaskState.PLANNED)
            self._starting.append(after)

    # --- starting -----------------------------------------------------------------------------------------------

    def _settle(self, now: datetime) -> None:
        """Start what may start. In a loop, not each by the one before: a thousand may have ended long ago."""
        self._now = now
        while self._starting:
            self._start(self._starting.popleft())

    def _start(self, task: Task) -> None:
        before, task.before = task.before, None
        if before is not None and self._restored(task, before):
            return
        if not task.spec.is_group:
            self._move(task, TaskState.READY)
            self._ready.append(task)
            return
        self._move(task, TaskState.PLANNED)
        for child in task.children:
            child.waits_for = len(child.upstreams)
        for child in task.children:
            if not child.upstreams:
                self._admit(child, task)

    def _admit(self, child: Task, group: Task) -> None:
        """Start a child whose upstreams are done, once the group has room."""
        if group.spec.limit and group.active >= group.spec.limit:
            group.at_limit.append(child)
        else:
            group.active += 1
            self._starting.append(child)

    def _restored(self, task: Task, before: Before) -> bool:
        """Go on from where it was left. False: it has to run, or, a group, to look at each of its tasks."""
        task.kept, task.started_at = dict(before.kept), before.started_at
        if before.state == TaskState.SUCCESS:
            self._over_before(task, before)
            self._succeeded(task)
            return True
        if before.state in TRIED_LATER and before.retry_at:
            task.error = before.error
            self._wait(task, before.retry_at)
            return True
        if task.spec.is_group or before.state not in FAILED | {TaskState.PLANNED}:
            return False
        self._store(task, before.stored)
        if before.state in FAILED:
            task.error = before.error
            self._end_badly(task, before.state)
        elif before.error:
            self._failed(task, before.error)
        elif "made" in task.kept:
            self._make(task, Made.of_json(task.kept["made"]))
        else:
            self._check(task)
        return True

    def _over_before(self, task: Task, before: Before | None) -> None:
        """It succeeded before, and so did everything inside it."""
        task.before = None
        self._move(task, TaskState.SUCCESS)
        if before is None:
            return
        task.kept, task.started_at, task.updated_at = dict(before.kept), before.started_at, before.updated_at
        if "made" in task.kept:
            self._grow_made(task, Made.of_json(task.kept["made"]))
        for inside in (*task.children, *task.made):
            self._over_before(inside, inside.before)
        self._store(task, before.stored)
        if before.position == task.position:
            self.changed.discard(task)  # it stands there already

    def _again(self, task: Task) -> None:
        """Run it again from the start; what came up inside it the last time has to come up again."""
        self._waiting.discard(task)
        for inside in list(task.everything_inside()):
            self._forget(inside)
        self._forget_rows(task.full_name)
        task.made.clear()
        task.error, task.retry_at = {}, None
        self._starting.append(task)

    def _forget(self, task: Task) -> None:
        task.before = None
        task.kept, task.error, task.stored, task.retry_at, task.started_at = {}, {}, {}, None, None
        task.active, task.gives, task.made = 0, False, []
        task.at_limit.clear()
        self._move(task, TaskState.BLOCKED)

    def _forget_rows(self, around: str) -> None:
        """What came up inside `around` in an earlier delivery, and is in this tree no more than a row."""
        inside = [name for name in self._before if name.startswith((f"{around}+", f"{around}^"))]
        for name in inside:
            position = self._before.pop(name).position
            if position is not None and position not in self.tasks:
                self.tasks[position] = row = Task(Spec(name, {}), position, name, None, (), {})
                self._move(row, TaskState.BLOCKED)

    def _wait(self, task: Task, until: datetime) -> None:
        task.retry_at = until
        self._waiting.add(task)
        self._move(task, TaskState.GROUP_RETRY_WAITING if task.children or task.made else TaskState.RETRY_WAITING)

    # --- ending -------------------------------------------------------------------------------------------------

    def _check(self, task: Task) -> None:
        """It did what it had to, and `_check` has a word in it."""
        if task.spec.check:
            self._come_up(task, task.spec.check, {})
        else:
            self._end_well(task)

    def _end_well(self, task: Task) -> None:
        self._move(task, TaskState.SUCCESS)
        self._succeeded(task)

    def _succeeded(self, task: Task) -> None:
        """What follows from it, for the task or group around it."""
        parent = task.parent
        if parent is None:
            return
        if task.kind == SUB:
            self._check(parent)
        elif task.kind == CHECK:
            self._end_well(parent)
        elif task.kind == ERROR:
            self._end_badly(parent)
        else:
            for follower in task.followers:
                follower.waits_for -= 1
                if follower.waits_for == 0:
                    self._admit(follower, parent)
            self._one_less(parent)

    def _failed(self, task: Task, error: Json) -> None:
        """It, or something inside it, failed."""
        task.error = error
        if task.retries < task.spec.retry.limit:
            until = self._now + timedelta(seconds=task.spec.retry.wait(task.retries))
            task.kept = {"retries": task.retries + 1}  # what the failed try kept is no business of the next one
            self._wait(task, until)
        elif task.spec.error and not any(made.kind == ERROR for made in task.made):
            self._come_up(task, task.spec.error, {"error": dict(error)})
        else:
            self._end_badly(task)

    def _end_badly(self, task: Task, state: TaskState | None = None) -> None:
        inside = any(child.state in FAILED for child in (*task.children, *task.made) if child.kind != ERROR)
        self._move(task, state or (TaskState.GROUP_ERROR if inside else TaskState.ERROR))
        parent = task.parent
        if parent is None:
            return
        if task.kind == ERROR:
            self._end_badly(parent)
        elif task.kind:
            self._failed(parent, task.error)
        else:
            self._one_less(parent)

    def _one_less(self, group: Task) -> None:
        """A child ended: let the next one in that waits for room; without any, the group has ended."""
        group.active -= 1
        while group.at_limit and group.active < group.spec.limit:
            self._admit(group.at_limit.popleft(), group)
        if group.active:
            return
        failed = group.failed_child()
        if failed is None:
            self._check(group)
        else:
            self._failed(group, failed.error)

    # --- the pieces ---------------------------------------------------------------------------------------------

    def _store(self, task: Task, stored: Json) -> None:
        task.stored = stored
        if stored:
            for around in task.path():
                if around.gives:
                    break
                around.gives = True

    def _move(self, task: Task, state: TaskState) -> None:
        task.state = state
        task.updated_at = self._now
        if state in (TaskState.RUNNING, TaskState.PLANNED) and task.started_at is None:
            task.started_at = self._now
        self.changed.add(task)


def planned(root: Spec) -> list[Task]:
    """The tasks that a document has, by position, before any of them ran."""
    tree = Tree(root, before={}, now=datetime.min.replace(tzinfo=UTC))
    return [tree.tasks[position] for position in range(root.size)]
