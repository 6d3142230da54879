"""What an operator gets, and how it says that the task failed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from scheduler.errors import HindcastError
from scheduler.execution.made import Made

Stored = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The task succeeded: `stored` are variables for later tasks, `made` tasks to run before they start."""

    stored: Stored = field(default_factory=dict)
    made: Made | None = None


NOTHING = Outcome()


class TaskFailed(HindcastError):  # noqa: N818 - named as the fact
    """The task failed. `facts` are kept with the message: `exit_code`, `signal`, …"""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts = facts


class SecretMissing(TaskFailed):
    """The project has no secret of that name."""


class TryLater(HindcastError):  # noqa: N818 - named as the fact
    """The task is neither done nor failed: run it again in so many seconds, with what it keeps until then."""

    def __init__(self, seconds: float, kept: Mapping[str, Any]) -> None:
        super().__init__(f"The task waits for {seconds} s.")
        self.seconds = seconds
        self.kept = kept


class Spawn(Protocol):
    def __call__(
        self,
        command: str,
        arguments: Sequence[str] = (),
        *,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        timeout: float | None = None,
    ) -> int:
        """Run a shell command in the workspace to its end, its output going to the log. Returns its exit code.

        `arguments` are its `$0`, `$1`, …; `pass_fds` the open files that it keeps. Its standard input is empty.

        The environment is a small allow list and `env`. Raises TaskFailed when it cannot start, when a signal ends it,
        and when it takes longer than `timeout` seconds, which end it.
        """


class Others(Protocol):
    """Other workflows of the same revision. Each raises TaskFailed for a name that none has."""

    def document(self, path: str, *, within: str) -> tuple[Mapping[str, Any], str]:
        """What the workflow at `path`, seen from the folder `within`, says; and the folder that it is in.

        Folders are relative to the project's; "" is that one itself.
        """

    def start(
        self,
        name: str,
        *,
        session_time: datetime,
        params: Mapping[str, Any],
        rerun_on: str,
        project: Mapping[str, str],
    ) -> int:
        """The attempt of that session to wait for; started now, when there is none, or `rerun_on` asks for it.

        `project` names another one by its `id` or `name`; empty for this one.
        """

    def status(self, attempt_id: int) -> str | None:
        """How an attempt ended; None while it has not."""


@dataclass(frozen=True)
class Context:
    """One task at the moment `now`. `command` is what stands beside the operator, its `${…}` not yet replaced.

    `config` is all that the document says of it, `kept` what an earlier try kept. `folder` is where in the project it
    works, "" at its top; `workspace()` is that place on this machine. `variables` holds the task's own
    settings, too; `exported()` is what `_export` gives it, and `section(name)` what the document says in the mappings
    that `_export` has under that name, the innermost winning, its `${…}` not yet replaced.

    `secret(key)` is the value of a secret of the project; it raises SecretMissing when there is none. `revealed(text)`
    is the text with its `${…}` replaced, `${secret:key}` too, which is an error anywhere else; it takes texts of the
    document alone (`config`), as a value may come from anybody. What these two give belongs into no `kept`, no argument
    of a command and no message of the broker. In logs, failures and results it is masked without the operator's doing.
    """

    command: Any
    config: Mapping[str, Any]
    kept: Mapping[str, Any]
    folder: str
    now: datetime
    variables: Mapping[str, object]
    exported: Callable[[], Mapping[str, object]]
    section: Callable[[str], Mapping[str, Any]]
    write: Callable[[bytes], None]
    workspace: Callable[[], Path]
    spawn: Spawn
    others: Others
    secret: Callable[[str], str]
    revealed: Callable[[str], str]


def nothing_wrong(config: Mapping[str, Any]) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Operator:
    """`in_process`: done at once, starts no child, may run twice; it may ask the database.

    `inside` names the directives that hold tasks for it to run (`_do`), `takes_env` is for those that start a command
    with an environment of the task's own (`_env`). `check` says, a sentence each, what can be seen
    to be wrong in a task's mapping before it runs; one that begins with `key:` is told at that key.
    """

    run: Callable[[Context], Outcome]
    in_process: bool = False
    inside: tuple[str, ...] = ()
    takes_env: bool = False
    check: Callable[[Mapping[str, Any]], Iterable[str]] = nothing_wrong
