"""Which mappings of a workflow are tasks: `+name` in a group, and what stands under `_do`, `_error` and their kind."""

from collections.abc import Iterator

from projects.dig.language import ONLY_AT_THE_TOP, Language
from projects.dig.nodes import Entry, Listing, Mapping, Node, Scalar

_TYPE, _COMMAND = "_type", "_command"
_REACTIONS = ("_error", "_check")


def operators_of(task: Mapping) -> list[str]:
    """The keys that are operators, with their `>`."""
    return [key for key in task if key.endswith(">") and key[:1] != "+"]


def inner_tasks(task: Mapping, language: Language) -> Iterator[tuple[str, Node]]:
    """The tasks right inside a task or group, by key."""
    keys = {*_REACTIONS, *language.inner_keys()}
    yield from ((key, task[key]) for key in task if key[:1] == "+" or key in keys)


def texts_of(task: Mapping, language: Language) -> Iterator[tuple[str, Scalar]]:
    """Texts with a `${` in a task or group itself, each with the key that it stands under."""
    inner = dict(inner_tasks(task, language))
    open_nodes = [(key, task[key]) for key in task if key not in inner and key not in ONLY_AT_THE_TOP]
    while open_nodes:
        key, node = open_nodes.pop()
        if isinstance(node, Mapping):
            open_nodes += [(key, entry.value) for entry in node.entries.values()]
        elif isinstance(node, Listing):
            open_nodes += [(key, item) for item in node.items]
        elif isinstance(node.value, str) and "${" in node.value:
            yield key, node


def count_tasks(task: Mapping, language: Language) -> int:
    """How many tasks and groups have a name, at any depth."""
    count = 0
    open_tasks: list[Node] = [task]
    while open_tasks:
        inside = open_tasks.pop()
        if isinstance(inside, Mapping):
            inner = list(inner_tasks(inside, language))
            count += sum(1 for key, _ in inner if key[:1] == "+")
            open_tasks += [node for _, node in inner]
    return count


def simplified(task: Mapping, language: Language, file: str = "") -> Mapping:
    """The task, and all inside it, as it is meant.

    `_type: echo` and `_command: Hi` are written as `echo>: Hi`. A whole workflow that is included as a task is one
    without the keys that only the top of a file has. `file` is where the name of the task stands; "" for the workflow.
    """
    inner = dict(inner_tasks(task, language))
    entries = {}
    for key, entry in task.entries.items():
        if isinstance(entry.value, Mapping) and key in inner:
            entries[key] = Entry(entry.place, simplified(entry.value, language, entry.place.file))
        elif not (file and key in ONLY_AT_THE_TOP and entry.place.file != file):
            entries[key] = entry
    return Mapping(task.place, _joined(entries), task.complete, task.weight)


def _joined(entries: dict[str, Entry]) -> dict[str, Entry]:
    kind = entries[_TYPE].value if _TYPE in entries else None
    if not (isinstance(kind, Scalar) and isinstance(kind.value, str)) or f"{kind.value}>" in entries:
        return entries
    place = entries[_TYPE].place
    command = entries[_COMMAND].value if _COMMAND in entries else Scalar(place, None)
    renamed = {f"{kind.value}>" if key == _TYPE else key: entry for key, entry in entries.items() if key != _COMMAND}
    return renamed | {f"{kind.value}>": Entry(place, command)}
