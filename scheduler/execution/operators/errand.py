"""An errand outside: told to a child over a socket, and its answer. The lease ends the child as it ends any other."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from scheduler.execution import storable
from scheduler.execution.operators.base import Context, SecretMissing, TaskFailed
from scheduler.execution.operators.told import told

CHILD = Path(__file__).parent.parent / "outside" / "child.py"
ROOT = Path(__file__).parents[3]
MOST_BYTES = 8 * 1024 * 1024
# Whom a child trusts over TLS, and which resolver it asks, are the machine's business; nothing else of ours is needed.
PASSED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class Away(Exception):  # noqa: N818 - named as the fact
    """The other side cannot be reached, or does not answer; another time it may. The text says why."""


def run(task: Context, kind: str, asked: Mapping[str, Any], body: bytes, *, seconds: float) -> dict[str, Any]:
    """What `outside.<kind>` answers. Raises TaskFailed for what it refuses, and Away."""
    request = {**asked, "kind": kind, "seconds": seconds, "path": _path(), "allowed": settings.HINDCAST_HTTP_ALLOW}
    answer = _answer(task, json.dumps(request).encode() + b"\n" + body)
    if "refusal" in answer:
        raise TaskFailed(answer["refusal"])
    if "away" in answer:
        raise Away(answer["away"])
    return answer


def secret(task: Context, name: str) -> str:
    """A secret that a project may have; "" when it has none. Raises TaskFailed when it cannot be opened."""
    try:
        return task.secret(name)
    except SecretMissing:
        return ""


def key(task: Context) -> str:
    """The same whenever this task of this attempt runs again, and no other's anywhere."""
    names = ("session_uuid", "attempt_id", "task_name")
    return hashlib.sha256(":".join(str(task.variables[name]) for name in names).encode()).hexdigest()[:32]


def _answer(task: Context, request: bytes) -> dict[str, Any]:
    program = [sys.executable, "-I", str(CHILD)]
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    code, heard = told(task, program, request, env=env, most_bytes=MOST_BYTES)
    answer = _read(heard)
    if answer is None:
        raise TaskFailed(f"The request ended without an answer, with exit code {code}.", exit_code=code)
    return answer


def _read(heard: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(heard)
    except ValueError:
        return None
    return storable.json_value(answer) if isinstance(answer, dict) else None


def _path() -> list[str]:
    """Where Python finds our own modules: no relative folder, which would be the project's."""
    return [str(ROOT), *(folder for folder in sys.path if os.path.isabs(folder))]
