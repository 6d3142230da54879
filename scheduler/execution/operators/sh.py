"""`sh>: command` runs a command of the shell in the project's files.

    shell:  what reads the command instead of /bin/sh, such as bash, [bash, -e] or python3; also for all, in
            `_export:` under `sh:`
    _env:   variables of its environment; secrets may stand there

A value never becomes shell code: it travels in the environment, and `${x}` becomes a quoted reference to it.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.environment import environment_of
from scheduler.execution.operators.program import words_of
from scheduler.execution.operators.shell_text import referenced
from scheduler.execution.template import OPENING

# Shells that read `"${x}"` as `shell_text` does. ksh, mksh and zsh evaluate a value in more places: `[ "${x}" -gt 5 ]`,
# `printf %d`, `exit`.
LIKE_SH = {"sh", "ash", "bash", "busybox", "dash"}


def run(task: Context) -> Outcome:
    shell = words_of("shell", task.config.get("shell", task.section("sh").get("shell")))
    command, values = _command(str(task.command), shell, task)
    env = {**environment_of(task), **values}
    if shell:
        with _in_memory(command) as number:
            code = task.spawn('exec "$0" "$@"', [*shell, f"/dev/fd/{number}"], env=env, pass_fds=[number])
    else:
        code = task.spawn(command, env=env)
    if code:
        raise TaskFailed(f"The command ended with exit code {code}.", exit_code=code)
    return NOTHING


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What can be seen to be wrong before the task runs."""
    try:
        shell = words_of("shell", config.get("shell"))
    except TaskFailed as wrong:
        yield wrong.message
        return
    if shell and not _is_like_sh(shell) and OPENING.search(str(config.get("sh>"))):
        yield _no_references(shell)


def _command(text: str, shell: list[str], task: Context) -> tuple[str, dict[str, str]]:
    if _is_like_sh(shell):
        return referenced(text, task.variables.__getitem__)
    if OPENING.search(text):
        raise TaskFailed(_no_references(shell))
    return text, {}


def _is_like_sh(shell: list[str]) -> bool:
    return not shell or PurePath(shell[0]).name in LIKE_SH


def _no_references(shell: list[str]) -> str:
    return (
        f"A ${{…}} in a command is written for sh, bash and dash alone, not for {shell[0][:50]}: "
        "give the value a name under _env:, and read it from the environment."
    )


@contextmanager
def _in_memory(text: str) -> Iterator[int]:
    """The number of an open file with the text."""
    with os.fdopen(os.memfd_create("command"), "wb") as file:
        file.write(f"{text}\n".encode("utf-8", "replace"))
        file.flush()
        yield file.fileno()


SH = Operator(run, check=problems, takes_env=True)
