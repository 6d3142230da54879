"""`${x}` in a shell command as a quoted reference to an environment variable. PURE.

The text is read as the shell reads it, to know the quotes around each `${x}`. Should the two ever disagree, a value
may arrive split or not at all, but never as code, since only references stand in the text. Where a reference
cannot be made safe (arithmetic, backticks, a quoted here-document) it is refused. `\\${x}` stays as it is.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import partial

from scheduler.execution.expressions import one_budget
from scheduler.execution.template import OPENING, Lookup, Reference, TemplateError, reference_at, resolve_at

HERE_DOCUMENT = re.compile(r"<<(-?)[ \t]*((?:\\.|'[^'\n]*'|\"[^\"\n]*\"|[^\s;&|<>()'\"\\])+)")


class Place(Enum):
    """Where in a command a character stands."""

    PLAIN = "outside quotes"
    DOUBLE = "between double quotes"
    SINGLE = "between single quotes"
    COMMENT = "in a comment"
    HERE = "in a here-document"
    QUOTED_HERE = "in a here-document with a quoted delimiter"
    ARITHMETIC = "inside $((…))"
    PARENTHESES = "in parentheses inside $((…))"
    BACKTICKS = "between backticks"


WRITTEN = {
    Place.PLAIN: '"${{{}}}"',
    Place.DOUBLE: "${{{}}}",
    Place.SINGLE: "'\"${{{}}}\"'",
    Place.COMMENT: "",
    Place.HERE: "${{{}}}",
}


Resolve = Callable[[str, int], tuple[str, Reference]]
"""The value of the reference at a place of a text, and the reference."""


def referenced(command: str, lookup: Lookup) -> tuple[str, dict[str, str]]:
    """The command with references, and the environment variables that they name. Raises TemplateError."""
    with one_budget():
        return read(command, partial(resolve_at, lookup=lookup))


def read(command: str, resolve: Resolve) -> tuple[str, dict[str, str]]:
    """`referenced`, by whatever gives the values. Raises TemplateError for a place where none can stand."""
    reader = _Reader(command, resolve)
    return reader.read(), reader.values


class _Reader:
    def __init__(self, command: str, resolve: Resolve) -> None:
        self._command = command
        self._resolve = resolve
        self._at = 0
        self._out: list[str] = []
        self._stack = [Place.PLAIN]
        self._here: list[tuple[str, bool, bool]] = []
        self.values: dict[str, str] = {}

    def read(self) -> str:
        while self._at < len(self._command):
            if not self._reference():
                self._step()
        return "".join(self._out)

    def _reference(self) -> bool:
        found = reference_at(self._command, self._at)
        if found is None:
            return False
        written, self._at = self._written(self._command, self._at, found, self._stack[-1])
        self._out.append(written)
        return True

    def _written(self, text: str, at: int, found: Reference, place: Place) -> tuple[str, int]:
        """What stands for the reference at `at`, and the place after it."""
        if place not in WRITTEN:
            message = f"${{{found.expression}}} cannot stand {place.value}; put it into a shell variable first."
            raise TemplateError(message, found.expression)
        value, reference = ("", found) if place is Place.COMMENT else self._resolve(text, at)
        name = f"HC_{len(self.values) + 1}"
        self.values[name] = value
        return WRITTEN[place].format(name), reference.end

    def _step(self) -> None:
        match self._stack[-1]:
            case Place.PLAIN:
                self._plain()
            case Place.DOUBLE:
                self._double()
            case Place.SINGLE:
                self._until("'")
            case Place.COMMENT:
                self._comment()
            case Place.BACKTICKS:
                self._backticks()
            case _:
                self._arithmetic()

    def _plain(self) -> None:
        if self._escape() or self._opens() or self._here_document():
            return
        letter = self._take()
        if letter == "'":
            self._stack.append(Place.SINGLE)
        elif letter == '"':
            self._stack.append(Place.DOUBLE)
        elif letter == "(":
            self._stack.append(Place.PLAIN)
        elif letter == ")" and len(self._stack) > 1:
            self._stack.pop()
        elif letter == "#" and self._starts_word():
            self._stack.append(Place.COMMENT)
        elif letter == "\n" and self._here:
            self._here_bodies()

    def _double(self) -> None:
        if not (self._escape() or self._opens()):
            self._until('"')

    def _backticks(self) -> None:
        if not self._escape():
            self._until("`")

    def _arithmetic(self) -> None:
        inside = self._stack[-1] is Place.PARENTHESES
        if not inside and self._command.startswith("))", self._at):
            self._take(2)
            self._stack.pop()
            return
        letter = self._take()
        if letter == "(":
            self._stack.append(Place.PARENTHESES)
        elif letter == ")" and inside:
            self._stack.pop()

    def _escape(self) -> bool:
        if self._command[self._at] != "\\":
            return False
        self._take(2)
        return True

    def _opens(self) -> bool:
        for opening, place in (("$((", Place.ARITHMETIC), ("$(", Place.PLAIN), ("`", Place.BACKTICKS)):
            if self._command.startswith(opening, self._at):
                self._take(len(opening))
                self._stack.append(place)
                return True
        return False

    def _until(self, closing: str) -> None:
        if self._take() == closing:
            self._stack.pop()

    def _comment(self) -> None:
        if self._command[self._at] == "\n":
            self._stack.pop()  # the newline itself is read outside the comment
        else:
            self._take()

    def _here_document(self) -> bool:
        if self._command.startswith("<<<", self._at):  # a here-string of bash: a word like any other
            self._take(3)
            return True
        found = HERE_DOCUMENT.match(self._command, self._at)
        if found is None:
            return False
        word = found[2]
        self._here.append((re.sub(r"\\(.)|['\"]", r"\1", word), found[1] == "-", bool(re.search(r"['\"\\]", word))))
        self._take(len(found[0]))
        return True

    def _here_bodies(self) -> None:
        for delimiter, strips_tabs, quoted in self._here:
            while self._at < len(self._command):
                line = self._line()
                self._out.append(self._here_line(line, Place.QUOTED_HERE if quoted else Place.HERE))
                if (line.lstrip("\t") if strips_tabs else line).rstrip("\n") == delimiter:
                    break
        self._here = []

    def _line(self) -> str:
        end = self._command.find("\n", self._at) + 1 or len(self._command)
        line, self._at = self._command[self._at : end], end
        return line

    def _here_line(self, line: str, place: Place) -> str:
        out, at = [], 0
        while (opening := OPENING.search(line, at)) and (found := reference_at(line, opening.start())):
            out.append(line[at : opening.start()])
            written, at = self._written(line, opening.start(), found, place)
            out.append(written)
        return "".join(out) + line[at:]

    def _starts_word(self) -> bool:
        before = "".join(self._out[-2:])[-2:-1]
        return before == "" or before in " \t\n;&|()"

    def _take(self, count: int = 1) -> str:
        taken = self._command[self._at : self._at + count]
        self._out.append(taken)
        self._at += count
        return taken
