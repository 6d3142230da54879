"""Text and JSON as every database can hold them. PURE."""

import math
from typing import Any


def text(value: str) -> str:
    """`value` without NUL, which PostgreSQL refuses, and with lone surrogates replaced."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def json_value(value: Any) -> Any:
    """A JSON value with every text in it, keys too, made storable. Numbers that JSON does not have become text."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(key)): json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
