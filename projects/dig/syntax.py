"""A file's text as a tree of nodes.

PyYAML only parses here: it says what begins and ends where. The tree is built from that by our own rules and counted
while it grows, so nothing is made that the limits do not allow, and no tag can name a Python object.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import yaml

from projects.dig import scalars
from projects.dig.nodes import Entry, Listing, Mapping, Node, Scalar, Weight, merge, shown
from projects.dig.problems import Place, Problems, short
from projects.dig.source import MOST_BYTES, Source, Unreadable
from projects.dig.yaml_errors import SPACE_MISSING, unreadable

# Of a file, its aliases and includes written out.
MOST_VALUES = 20_000
MOST_CHARACTERS = MOST_BYTES
DEEPEST = 120  # lists and mappings inside each other

INCLUDE = "!include"
MERGE = "<<"
_NO_KEY = "no key"
_STANDARD_TAG = "tag:yaml.org,2002:"
# libyaml takes time that grows with the square of their number, before it says anything.
_TAG_DIRECTIVE = re.compile(r"^%TAG\b", re.MULTILINE)
# Without libyaml, PyYAML is much slower, and words a few mistakes in its own way.
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Include = Callable[[str, Place], Mapping]
"""What an include at a place stands for; an incomplete mapping where the reason is reported."""


@dataclass
class _Open:
    """A list or a mapping whose end has not come; its counts so far, and those of the file when it began."""

    place: Place
    anchor: str | None
    values: int
    characters: int
    depth: int = 1
    complete: bool = True
    items: list[Node] = field(default_factory=list)


@dataclass
class _OpenMapping(_Open):
    """`key` waits for its value; `meaning` is "" unless it is more, or less, than a key.

    `written` are the keys of the file itself, at their first places.
    """

    key: str | None = None
    meaning: str = ""
    key_place: Place = field(default_factory=lambda: Place(""))
    written: dict[str, Place] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    defaults: list[Mapping] = field(default_factory=list)


def parse(source: Source, *, include: Include, problems: Problems, spend: Callable[[int], None]) -> Node | None:
    """The tree of a file; None for an empty one. Mistakes that do not hinder reading on go to `problems`.

    `spend` is told of the values as they are read, and raises when it is enough. Raises Unreadable for what is no YAML
    and for what passes a limit.
    """
    _refuse_tag_directives(source)
    tree = _Tree(source, include, problems, spend)
    try:
        for event in yaml.parse(source.text, Loader=_PARSER):
            tree.take(event)
    except yaml.YAMLError as error:
        raise unreadable(error, source, tree.innermost_open()) from None
    return tree.root


def _refuse_tag_directives(source: Source) -> None:
    if found := _TAG_DIRECTIVE.search(source.text):
        line = source.text.count("\n", 0, found.start()) + 1
        raise Unreadable(Place(source.file, line, 1), "%TAG is not read here; remove the line.")


class _Tree:
    def __init__(self, source: Source, include: Include, problems: Problems, spend: Callable[[int], None]) -> None:
        self.root: Node | None = None
        self._source = source
        self._include = include
        self._problems = problems
        self._spend = spend
        self._values = 0
        self._characters = 0
        self._documents = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        assert mark is not None
        place = Place(self._source.file, mark.line + 1, mark.column + 1)
        match event:
            case yaml.DocumentStartEvent():
                self._begin_document(place)
            case yaml.ScalarEvent():
                self._scalar(event, place)
            case yaml.AliasEvent():
                self._alias(event.anchor or "", place)
            case yaml.MappingStartEvent():
                self._begin(_OpenMapping(place, event.anchor, self._values, self._characters), event.tag)
            case yaml.SequenceStartEvent():
                self._begin(_Open(place, event.anchor, self._values, self._characters), event.tag)
            case yaml.CollectionEndEvent():
                self._end(self._open.pop())

    def innermost_open(self) -> Place | None:
        return self._open[-1].place if self._open else None

    def _begin_document(self, place: Place) -> None:
        self._documents += 1
        if self._documents > 1:
            raise Unreadable(place, "A second document begins here; a file holds one, so remove the '---'.")

    def _begin(self, collection: _Open, tag: str | None) -> None:
        collection.complete = self._is_allowed(tag, collection.place)
        if self._awaits_key():
            raise Unreadable(
                collection.place,
                "A key is a text, not a list or a mapping; a text that begins with [ or { needs quotes.",
            )
        self._open.append(collection)
        self._count(collection.place, Weight())

    def _end(self, ended: _Open) -> None:
        weight = Weight(self._values - ended.values, self._characters - ended.characters, ended.depth)
        if isinstance(ended, _OpenMapping):
            self._place(Mapping(ended.place, _with_defaults(ended), ended.complete, weight), ended.anchor)
        elif ended.complete:
            self._place(Listing(ended.place, tuple(ended.items), weight), ended.anchor)
        else:
            self._place(Mapping(ended.place, complete=False, weight=weight), ended.anchor)

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        self._count(place, Weight(1, len(event.value)))
        text = self._without_nul(event.value, place)
        if self._awaits_key():
            self._key(text, event, place)
        elif event.tag == INCLUDE:
            self._place(self._included(text, place), event.anchor)
        elif self._is_allowed(event.tag, place):
            value = scalars.value_of(text) if event.implicit[0] else text
            self._place(Scalar(place, value, Weight(1, len(text))), event.anchor)
        else:
            self._place(Mapping(place, complete=False), event.anchor)

    def _key(self, text: str, event: yaml.ScalarEvent, place: Place) -> None:
        mapping = self._open[-1]
        assert isinstance(mapping, _OpenMapping)
        if event.anchor:
            self._anchors[event.anchor] = Scalar(place, text, Weight(1, len(text)))
        mapping.key, mapping.key_place = text, place
        mapping.meaning = self._meaning(text, event, place)

    def _meaning(self, text: str, event: yaml.ScalarEvent, place: Place) -> str:
        if event.tag == INCLUDE:
            if text:
                self._problems.add(place, f"The path stands after the ':', as in \"!include : '{short(text)}'\".")
            return INCLUDE
        self._is_allowed(event.tag, place)
        if not event.implicit[0]:
            return ""
        if not text:
            self._problems.add(place, "There is no key before the ':'.")
            return _NO_KEY
        return MERGE if text == MERGE else ""

    def _alias(self, anchor: str, place: Place) -> None:
        if self._awaits_key():
            raise Unreadable(place, "A key is a text, not an alias.")
        node = self._anchors.get(anchor)
        if node is None:
            self._problems.add(
                place,
                f"There is no &{short(anchor)} whose value ends before this; text that begins with * needs quotes.",
            )
            node = Mapping(place, complete=False)
        self._count(place, node.weight)
        self._place(node, None)

    def _place(self, node: Node, anchor: str | None) -> None:
        """Put a finished node where it belongs: into what is open, or at the root."""
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        around = self._open[-1]
        around.depth = max(around.depth, node.weight.depth + 1)
        if isinstance(around, _OpenMapping):
            self._entry(around, node)
        else:
            around.items.append(node)

    def _entry(self, mapping: _OpenMapping, node: Node) -> None:
        assert mapping.key is not None
        key, mapping.key = mapping.key, None
        if mapping.meaning == INCLUDE:
            self._merge_include(mapping, node)
        elif mapping.meaning == MERGE:
            self._note_defaults(mapping, node)
        elif mapping.meaning != _NO_KEY:
            self._note_entry(mapping, key, node)

    def _note_entry(self, mapping: _OpenMapping, key: str, node: Node) -> None:
        first = mapping.written.setdefault(key, mapping.key_place)
        if first is mapping.key_place:
            mapping.entries[key] = Entry(first, node)
        else:
            self._problems.add(mapping.key_place, f"The key {short(key)}: is here twice, first in line {first.line}.")

    def _merge_include(self, mapping: _OpenMapping, node: Node) -> None:
        if not (isinstance(node, Scalar) and isinstance(node.value, str)):
            self._problems.add(node.place, f"!include takes the path of a file, not {shown(node)}.")
            mapping.complete = False
            return
        included = self._included(node.value, node.place)
        merge(mapping.entries, included)
        mapping.complete &= included.complete
        mapping.depth = max(mapping.depth, included.weight.depth)

    def _note_defaults(self, mapping: _OpenMapping, node: Node) -> None:
        for item in node.items if isinstance(node, Listing) else [node]:
            if isinstance(item, Mapping):
                mapping.defaults.append(item)
                mapping.complete &= item.complete
            else:
                self._problems.add(item.place, f"<<: takes a mapping or a list of mappings, not {shown(item)}.")

    def _included(self, path: str, place: Place) -> Mapping:
        included = self._include(path, place)
        self._count(place, included.weight)
        return included

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], _OpenMapping) and self._open[-1].key is None

    def _is_allowed(self, tag: str | None, place: Place) -> bool:
        """Whether a value with this tag is read; notes a tag that is not."""
        if tag is None or tag == "!":
            return True
        if tag == INCLUDE:
            self._problems.add(place, "!include takes the path of a file, as in \"!include : 'path.dig'\".")
        elif tag.startswith(f"{INCLUDE}:"):
            self._problems.add(place, SPACE_MISSING)
        else:
            name = tag.replace(_STANDARD_TAG, "!!")
            self._problems.add(place, f"The tag {short(name)} is not read; !include, before a path, is the only one.")
        return False

    def _without_nul(self, text: str, place: Place) -> str:
        if "\0" in text:
            self._problems.add(place, "There is a NUL character in this text; remove the \\0.")
        return text.replace("\0", "")

    def _count(self, place: Place, added: Weight) -> None:
        """Raises Unreadable once what was read, written out, passes a limit."""
        self._spend(added.values)
        self._values += added.values
        self._characters += added.characters
        if self._values > MOST_VALUES:
            raise Unreadable(place, f"The file has more than {MOST_VALUES:,} values, aliases and includes written out.")
        if self._characters > MOST_CHARACTERS:
            raise Unreadable(
                place, f"The file has more than {MOST_CHARACTERS:,} characters, aliases and includes written out."
            )
        if len(self._open) + added.depth > DEEPEST:
            raise Unreadable(place, f"Lists and mappings are nested more than {DEEPEST} deep.")


def _with_defaults(mapping: _OpenMapping) -> dict[str, Entry]:
    """The entries after those of `<<:`, of which the first that has a key gives it."""
    entries: dict[str, Entry] = {}
    for defaults in mapping.defaults:
        for key, entry in defaults.entries.items():
            entries.setdefault(key, entry)
    return entries | mapping.entries
