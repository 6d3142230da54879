"""What an operator gets, and how it says that the task failed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scheduler.errors import HindcastError

Stored = Mapping[str, Any]


class TaskFailed(HindcastError):  # noqa: N818 - named as the fact
    """The task failed. `facts` are kept with the message: `exit_code`, `signal`, …"""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts = facts


class Spawn(Protocol):
    def __call__(
        self,
        command: str,
        arguments: Sequence[str] = (),
        *,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> int:
        """Run a shell command in the workspace to its end, its output going to the log. Returns its exit code.

        `arguments` are its `$0`, `$1`, …; `pass_fds` the open files that it keeps. Its standard input is empty.

        The environment is a small allow list and `env`. Raises TaskFailed when it cannot start or a signal ends it.
        """


@dataclass(frozen=True)
class Context:
    """One task. `command` is what stands beside the operator, its `${…}` not yet replaced.

    `variables` holds the task's own settings, too; `exported()` is what `_export` gives it.
    """

    command: Any
    variables: Mapping[str, object]
    exported: Callable[[], Mapping[str, object]]
    write: Callable[[bytes], None]
    workspace: Callable[[], Path]
    spawn: Spawn


@dataclass(frozen=True)
class Operator:
    """`run` returns variables for later tasks. `in_process`: done at once, starts no child, may run twice."""

    run: Callable[[Context], Stored]
    in_process: bool = False


NOTHING: Stored = {}
