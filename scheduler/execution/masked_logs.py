"""What this process itself logs and reports, without the secrets of the attempt that it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from projects.masking import Known, mask, mask_all

_current: ContextVar[Known | None] = ContextVar("known_secrets", default=None)


@contextmanager
def masked_logs() -> Iterator[Known]:
    """What is added to the answer is masked in lines and reports of this thread, and of those that copy its context."""
    known = Known()
    token = _current.set(known)
    try:
        yield known
    finally:
        _current.reset(token)


def masked_line(_: object, __: str, line: str) -> str:
    """A processor of structlog that takes what was rendered: whatever a line is made of, a traceback too, is text."""
    known = _current.get()
    return mask(line, known) if known else line


def masked_report(event: dict[str, Any]) -> dict[str, Any]:
    known = _current.get()
    masked: dict[str, Any] = mask_all(event, known) if known else event
    return masked
