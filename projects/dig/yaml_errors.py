"""What the YAML parser objects to, in words that say what to do about it."""

import re

import yaml

from projects.dig.problems import Place
from projects.dig.source import Source, Unreadable

SPACE_MISSING = "A space belongs before the ':' of !include, as in \"!include : 'path.dig'\"."
_TEXT = "put the text in quotes"
_SENTENCES = {
    "mapping values are not allowed in this context": "A ': ' does not fit here. Indent the line as the keys around it"
    f" are; if the ': ' is part of a text, {_TEXT}.",
    "did not find expected key": "A key is expected here. Indent it as the keys around it are.",
    "could not find expected ':'": "There is no ': ' after this key. Write 'key: value', or indent the line to go on"
    " with the text above.",
    "did not find expected '-' indicator": "An item of the list, beginning with '- ', is expected here; a list and keys"
    " do not mix.",
    "block sequence entries are not allowed in this context": f"A list begins in a line of its own; if '- ' begins a"
    f" text, {_TEXT}.",
    "did not find expected alphabetic or numeric character": f"A text does not begin with * or &; {_TEXT}.",
    "found character that cannot start any token": f"A text does not begin with {{character}}; {_TEXT}.",
    "found a tab character that violates indentation": "A tab does not indent; use spaces.",
    "found unexpected end of stream": "The quote that is opened here is never closed.",
    "did not find expected ',' or ']'": "The list that is opened here with [ is not closed, or lacks a comma.",
    "did not find expected ',' or '}'": "The mapping that is opened here with { is not closed, or lacks a comma.",
    "did not find expected node content": f"A value is expected here; if this begins a text, {_TEXT}.",
    "found invalid Unicode character escape code": "There is no character of this code; write the character itself.",
    "did not find expected <document start>": "A key is expected here, indented as the first key of the file is.",
    "did not find expected whitespace or line break": "A space is expected here, after the tag.",
    "found unknown escape character": "Inside \"…\", a \\ stands before n, t, \\, \" and their kind; write \\\\, or use"
    " '…'.",
}  # fmt: skip
# The mistake is where these begin, not where the parser gave up.
_OPENERS = frozenset(
    {"while scanning a quoted scalar", "while parsing a flow sequence", "while parsing a flow mapping"}
)
_INSIDE_QUOTES = {"'": "''", '"': '\\"'}
_INCLUDE = re.compile(r"\s*!include:")


def unreadable(error: yaml.YAMLError, source: Source, opened: Place | None) -> Unreadable:
    """The mistake, placed in the file. `opened` is where the innermost list or mapping begins that has no end yet."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Unreadable(Place(source.file), f"The file is not YAML: {error}.")
    mark = error.problem_mark
    if error.context_mark is not None and (error.context in _OPENERS or "expected ':'" in str(error.problem)):
        mark = error.context_mark
    place = Place(source.file, mark.line + 1, mark.column + 1)
    before, rest = _around(source, place)
    if not rest and opened and error.context == "while parsing a flow node":
        return Unreadable(opened, "What is opened here is never closed.")
    return Unreadable(place, _sentence(str(error.problem), before, rest))


def _around(source: Source, place: Place) -> tuple[str, str]:
    """The line before the place, and from it on."""
    line = source.lines[place.line - 1] if place.line <= len(source.lines) else ""
    return line[: place.column - 1], line[place.column - 1 :]


def _sentence(problem: str, before: str, rest: str) -> str:
    if _INCLUDE.match(rest):
        return SPACE_MISSING
    if rest.startswith("\t"):
        return "A tab does not indent; use spaces."
    closed = before.rstrip()[-1:]
    if problem == "did not find expected key" and closed in _INSIDE_QUOTES:
        return f"Nothing follows a closed quote; a {closed} inside the text is written {_INSIDE_QUOTES[closed]}."
    return _SENTENCES.get(problem, f"This is not YAML: {problem}.").replace("{character}", rest[:1])
