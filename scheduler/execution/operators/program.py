"""A program of the author's choice: the `shell:` of sh>, the `python:` of py>."""

import shlex

from scheduler.execution.operators.base import TaskFailed


def words_of(key: str, said: object) -> list[str]:
    """The program and its arguments, written as a text or a list under `key:`; none for None. Raises TaskFailed."""
    if said is None:
        return []
    try:
        words = shlex.split(said) if isinstance(said, str) else said
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        raise TaskFailed(f"{key}: is a program, or a list of it and its arguments, not {str(said)[:50]!r}.")
    if any("${" in word or "\0" in word for word in words):
        raise TaskFailed(f"{key}: is written out; no variable stands in it.")
    return words
