"""`manage>: clearsessions -v 2` runs a Django management command, one of those in HINDCAST_MANAGE_COMMANDS.

    timeout:  how long it may take, such as 30m

The command is a text, cut into words as a shell does it, or a list of words. A value never becomes an option: a word
that begins with `${…}` may not turn out to begin with `-`. It runs in a process of its own, its output goes to the log.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management import get_commands

from projects.dig.language import closest, listed
from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.house import in_the_house, time_limit, time_limit_problems
from scheduler.execution.template import OPENING, as_text, reference_at, resolve_at

CHILD = "scheduler.execution.operators.manage_child"
MARK = "\0"  # stands for a `${…}` while the words are cut; a document has none


def run(task: Context) -> Outcome:
    name, *arguments = [_filled(word, task) for word in words(task.command)]
    for problem in name_problems(name):
        raise TaskFailed(problem)
    in_the_house(task, CHILD, {"name": name, "arguments": arguments}, timeout=time_limit(task))
    return NOTHING


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What can be seen to be wrong before the task runs."""
    try:
        name = words(config.get("manage>"))[0]
    except TaskFailed as wrong:
        yield wrong.message
    else:
        if not name.references:
            yield from name_problems(name.text)
    yield from time_limit_problems(config)


def name_problems(name: str) -> Iterator[str]:
    """What keeps a command from being run."""
    allowed = settings.HINDCAST_MANAGE_COMMANDS
    if name not in allowed:
        meant = closest(name, allowed)
        there = (
            f"did you mean {meant}?" if meant else f"it may run {listed(allowed)}." if allowed else "it may run none."
        )
        yield f"manage> may not run {name[:50]!r}; {there} HINDCAST_MANAGE_COMMANDS names what it may."
    elif name not in get_commands():
        yield f"manage> may run {name!r}, but no application here has such a command."


@dataclass(frozen=True)
class Word:
    """One word of a command; in `text` a MARK stands for each `${…}` of `references`."""

    text: str
    references: tuple[str, ...] = ()


def words(command: object) -> list[Word]:
    """At least one. Raises TaskFailed."""
    if isinstance(command, list):
        found = [Word(*_marked(as_text(item))) for item in command]
    else:
        text, references = _marked(as_text(command))
        found = _cut(text, iter(references))
    if not found or not found[0].text:
        raise TaskFailed("manage> takes a command with its arguments, such as clearsessions.")
    return found


def _marked(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with a MARK in place of each `${…}`, and what those are."""
    out, references, at = [], [], 0
    while (opening := OPENING.search(text, at)) and (found := reference_at(text, opening.start())):
        out += [text[at : opening.start()], MARK]
        references.append(text[opening.start() : found.end])
        at = found.end
    return "".join([*out, text[at:]]), tuple(references)


def _cut(text: str, references: Iterator[str]) -> list[Word]:
    try:
        cut = shlex.split(text)
    except ValueError as error:
        raise TaskFailed(f"The command of manage> cannot be cut into words: {error}.") from None
    return [Word(word, tuple(next(references) for _ in range(word.count(MARK)))) for word in cut]


def _filled(word: Word, task: Context) -> str:
    """Raises TaskFailed when a value would be read as an option."""
    values = iter([resolve_at(reference, 0, task.variables.__getitem__)[0] for reference in word.references])
    first, *rest = word.text.split(MARK)
    text = first + "".join(next(values) + part for part in rest)
    if text.startswith("-") and not first.startswith("-"):
        raise TaskFailed(
            f"{word.references[0]} begins with a -, and would be an option: {text[:50]!r}. "
            f"Where it is the value of one, write it as --name={word.references[0]}."
        )
    if "\0" in text:
        raise TaskFailed("An argument of a command has no NUL in it.")
    return text


MANAGE = Operator(run, check=problems)
