"""Python of ours in a process of its own: it gets a request in one open file, and leaves its answer in another.

Both are memory, which other processes of the same user can read: no secret belongs there. The answer is JSON:
`{"stored": …}`, or `{"error": "…"}` with a sentence.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from scheduler.execution import storable
from scheduler.execution.operators.base import Context, TaskFailed

MOST_BYTES = 1024 * 1024


def called(
    task: Context,
    script: Path,
    request: Mapping[str, Any],
    *,
    env: Mapping[str, str],
    python: Sequence[str] = (),
) -> dict[str, Any]:
    """What the script answered, without an error in it. `python` runs it instead of our own. Raises TaskFailed."""
    with _memory("request") as asked, _memory("answer") as answer:
        asked.write(json.dumps(request).encode())
        asked.flush()
        asked.seek(0)
        files = [asked.fileno(), answer.fileno()]
        code = task.spawn(
            'exec "$0" "$@"',
            [*(python or (sys.executable, "-I")), str(script), *map(str, files)],
            env=env,
            pass_fds=files,
        )
        answer.seek(0)
        return answered(answer.read(MOST_BYTES + 1), code)


def answered(content: bytes, code: int) -> dict[str, Any]:
    """What a script left that ended with that exit code, without an error in it. Raises TaskFailed."""
    said = _read(content)
    if "error" in said:
        raise TaskFailed(storable.text(str(said["error"])), exit_code=code)
    if code:
        raise TaskFailed(f"Python ended with exit code {code}.", exit_code=code)
    return said


def _memory(name: str) -> IO[bytes]:
    return os.fdopen(os.memfd_create(name), "w+b")


def _read(content: bytes) -> dict[str, Any]:
    """Empty when the script ended before it could answer, or wrote over it. Raises TaskFailed, and TooDeep."""
    if len(content) > MOST_BYTES:
        raise TaskFailed(f"It returned more than {MOST_BYTES} bytes.")
    try:
        said = storable.json_of(content or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
