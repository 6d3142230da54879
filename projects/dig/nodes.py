"""What a file says, each key and value with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from projects.dig.problems import Place, short


@dataclass(frozen=True, slots=True)
class Weight:
    """How large a value is with its aliases and includes written out: values, characters, levels of nesting."""

    values: int = 1
    characters: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Scalar:
    place: Place
    value: str | int | float | bool | None
    weight: Weight = Weight()


@dataclass(frozen=True, slots=True)
class Listing:
    place: Place
    items: tuple[Node, ...] = ()
    weight: Weight = Weight(depth=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """The place of a key, and its value."""

    place: Place
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """`complete` is false where something is missing that is reported elsewhere, such as an unreadable include."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    complete: bool = True
    weight: Weight = Weight(depth=1)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def __getitem__(self, key: str) -> Node:
        return self.entries[key].value

    def get(self, key: str) -> Node | None:
        return self.entries[key].value if key in self.entries else None

    def place_of(self, key: str) -> Place:
        return self.entries[key].place


Node = Scalar | Listing | Mapping


def plain(node: Node) -> Any:
    """The value as JSON has it."""
    if isinstance(node, Mapping):
        return {key: plain(entry.value) for key, entry in node.entries.items()}
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return node.value


def of_plain(value: Any, place: Place) -> Node:
    """A JSON value as it would stand in a file, all at one place."""
    if isinstance(value, dict):
        return Mapping(place, {key: Entry(place, of_plain(item, place)) for key, item in value.items()})
    if isinstance(value, list):
        return Listing(place, tuple(of_plain(item, place) for item in value))
    return Scalar(place, value)


def merge(entries: dict[str, Entry], included: Mapping) -> None:
    """Put the entries of `included` into `entries`, where they win; mappings on both sides are merged in their turn."""
    for key, entry in included.entries.items():
        mine = entries[key].value if key in entries else None
        if isinstance(mine, Mapping) and isinstance(entry.value, Mapping):
            entries[key] = Entry(entries[key].place, _merged(mine, entry.value))
        else:
            entries[key] = entry


def _merged(mine: Mapping, included: Mapping) -> Mapping:
    entries = dict(mine.entries)
    merge(entries, included)
    return replace(mine, entries=entries, complete=mine.complete and included.complete)


def shown(node: Node) -> str:
    """A value, short enough to repeat in a sentence."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Listing):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        return f"'{short(node.value)}'"
    return str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
