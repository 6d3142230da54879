"""One task of an attempt under way, and what is kept of it. PURE."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scheduler.execution.made import FOLDER, Json
from scheduler.execution.plan import Spec
from scheduler.models import TaskState

FAILED = frozenset({TaskState.ERROR, TaskState.GROUP_ERROR})
ENDED = FAILED | {TaskState.SUCCESS, TaskState.CANCELED}
SUB, CHECK, ERROR = "^sub", "^check", "^error"


@dataclass(frozen=True, slots=True)
class Before:
    """How an earlier delivery left a task, or an attempt that is resumed; `position` is None in the second case."""

    position: int | None
    state: TaskState
    stored: Json
    error: Json
    kept: Json
    retry_at: datetime | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(slots=True, eq=False, repr=False)
class Task:
    """A task, or a group around tasks.

    `variables` are values that it and everything inside it sees, `stored` is what it gave back, `kept` what it needs
    to go on: `retries`, `made`, and what its operator keeps between two tries. `order` sorts as the document does.
    """

    spec: Spec
    position: int
    full_name: str
    parent: "Task | None"
    order: tuple[int, ...]
    variables: Json
    upstreams: "tuple[Task, ...]" = ()
    state: TaskState = TaskState.BLOCKED
    stored: Json = field(default_factory=dict)
    error: Json = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    retry_at: datetime | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    children: "list[Task]" = field(default_factory=list)
    made: "list[Task]" = field(default_factory=list)  # ^sub, ^check, ^error, in the order in which they came up
    followers: "list[Task]" = field(default_factory=list)
    waits_for: int = 0  # upstreams that are not done
    active: int = 0  # children that started and have not ended
    at_limit: "deque[Task]" = field(default_factory=deque)  # children for which the group has no room yet
    before: Before | None = None
    gives: bool = False  # it, or something inside it, stored something

    def __repr__(self) -> str:
        return f"<{self.full_name} {self.state}>"

    @property
    def kind(self) -> str:
        """`^sub`, `^check` or `^error`; empty for a task that a document or an operator named."""
        return self.spec.name if self.spec.name.startswith("^") else ""

    @property
    def takes_names_from_data(self) -> bool:
        """Whether nobody wrote the names of its `variables`: it is one of the tasks of a `for_each>: ${…}`."""
        maker = self.parent and self.parent.parent
        return bool(maker and maker.spec.operator == "for_each" and not isinstance(maker.spec.command, Mapping))

    @property
    def depth(self) -> int:
        return len(self.order)

    @property
    def folder(self) -> str:
        """Where it works, below the project's own folder."""
        return next((str(around.variables[FOLDER]) for around in self.path() if FOLDER in around.variables), "")

    @property
    def retries(self) -> int:
        return int(self.kept.get("retries", 0))

    @property
    def retries_around(self) -> tuple[int, ...]:
        """Which try this is: `retries` of it and of what is around it, outwards, where there is a `_retry`."""
        return tuple(around.retries for around in self.path() if around.spec.retry.limit)

    def failed_child(self) -> "Task | None":
        """The first that failed, in the document's order."""
        return next((child for child in self.children if child.state in FAILED), None)

    def everything_inside(self) -> "Iterator[Task]":
        for child in (*self.children, *self.made):
            yield child
            yield from child.everything_inside()

    def path(self) -> "Iterator[Task]":
        """The task, and the groups and tasks around it, outwards."""
        around: Task | None = self
        while around is not None:
            yield around
            around = around.parent

    def results(self) -> Iterator[Json]:
        """What it and everything inside it stored, the latest in the document's order first."""
        if self.gives:
            for inside in reversed((*self.children, *self.made)):
                yield from inside.results()
            yield self.stored

    def sure_before(self) -> "Iterator[Task]":
        """Its siblings that were done before it started, whatever else ran meanwhile; the nearest first."""
        seen: set[int] = set()
        open_ = list(self.upstreams)
        while open_:
            sibling = open_.pop()
            if sibling.position not in seen:
                seen.add(sibling.position)
                open_ += sibling.upstreams
                yield sibling
