"""Text and JSON as every database can hold them. PURE."""

import json
import math
from typing import Any

from projects.dig.syntax import DEEPEST
from scheduler.errors import HindcastError


class TooDeep(HindcastError):  # noqa: N818 - named as the fact
    """A JSON value is nested deeper than a file may be; what reads or writes one is made for no more."""

    def __init__(self) -> None:
        super().__init__(f"A value is nested more than {DEEPEST} deep.")


def text(value: str) -> str:
    """`value` without NUL, which PostgreSQL refuses, and with lone surrogates replaced."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def json_of(said: str | bytes) -> Any:
    """The value that a text in JSON stands for, not yet storable. Raises ValueError when it is none, and TooDeep."""
    try:
        return json.loads(said)
    except RecursionError:
        raise TooDeep from None


def json_value(value: Any, depth: int = 1) -> Any:
    """A JSON value with every text in it, keys too, made storable. Numbers that JSON does not have become text.

    Raises TooDeep.
    """
    if depth > DEEPEST and isinstance(value, (dict, list)):
        raise TooDeep
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(key)): json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [json_value(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
