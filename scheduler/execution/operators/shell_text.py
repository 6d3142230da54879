"""`${x}` in a shell command as a quoted reference to an environment variable. PURE.

The text is read as the shell reads it, to know the quotes around each `${x}`. Should the two ever disagree, a value
may arrive split or not at all, since only references stand in the text. Where a reference cannot be made safe
(backticks, a quoted here-document) it is refused, and so it is where bash and ksh evaluate a value (arithmetic, and
what `shell_evaluation` finds): there it would be code. `\\${x}` stays as it is.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import partial

from scheduler.execution.expressions import one_budget
from scheduler.execution.operators.shell_evaluation import MARK, evaluated
from scheduler.execution.template import Lookup, Reference, TemplateError, reference_at, resolve_at

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
    SUM = "inside ((…))"
    PARENTHESES = "in parentheses inside $((…))"
    BRACKETS = "inside $[…]"
    OFFSET = "inside ${name:…}"
    BACKTICKS = "between backticks"


# What else the shell computes: what opens it, and how it ends.
COMPUTED = {
    Place.ARITHMETIC: "))",
    Place.SUM: "))",
    Place.PARENTHESES: ")",
    Place.BRACKETS: "]",
    Place.OFFSET: "}",
}
NESTED = {"(": Place.PARENTHESES, "[": Place.BRACKETS, "{": Place.OFFSET}
OPENINGS = (
    (re.compile(r"\$\(\("), Place.ARITHMETIC),
    (re.compile(r"\$\("), Place.PLAIN),
    (re.compile(r"\$\["), Place.BRACKETS),
    (re.compile(r"\$\{[a-z]+:(?![-=?+])"), Place.OFFSET),
    (re.compile(r"`"), Place.BACKTICKS),
)
IN_QUOTES = re.compile(r"[^\w=+-]")  # what means nothing there, or something else
SHELL_FIRST = "put it into a shell variable first."
CHECK_FIRST = (
    "the shell may run its value as code there. Compute in the expression, as in ${n + 1}, or check the value first: "
    "n=${n}; case $n in ''|*[!0-9]*) exit 1;; esac."
)

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
    values: dict[str, str] = {}
    return _Reader(command, resolve, values, Place.PLAIN).read(), values


class _Reader:
    def __init__(self, command: str, resolve: Resolve, values: dict[str, str], place: Place) -> None:
        self._command = command
        self._resolve = resolve
        self._at = 0
        self._out: list[str] = []
        self._outline: list[str] = []
        self._stack = [place]
        self._here: list[tuple[str, bool, bool]] = []
        self._values = values
        self._expressions: dict[int, str] = {}

    def read(self) -> str:
        while self._at < len(self._command):
            if not self._reference():
                self._step()
        if self._expressions and (found := evaluated("".join(self._outline))):
            raise _refused(self._expressions[found[0]], found[1], CHECK_FIRST)
        return "".join(self._out)

    def _reference(self) -> bool:
        found = reference_at(self._command, self._at)
        if found is None:
            return False
        self._out.append(self._written(found, self._stack[-1]))
        return True

    def _written(self, found: Reference, place: Place) -> str:
        """What stands for the reference; goes on behind it."""
        if place not in WRITTEN:
            raise _refused(found.expression, place.value, CHECK_FIRST if place in COMPUTED else SHELL_FIRST)
        value, reference = ("", found) if place is Place.COMMENT else self._resolve(self._command, self._at)
        self._at = reference.end
        number = len(self._values) + 1
        self._values[f"HC_{number}"] = value
        if place is not Place.COMMENT:
            self._expressions[number] = found.expression
            self._outline.append(f"{MARK}{number}{MARK}")
        return WRITTEN[place].format(f"HC_{number}")

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
            case Place.HERE:
                self._here_text()
            case Place.QUOTED_HERE:
                self._take()
            case _:
                self._computed()

    def _plain(self) -> None:
        if self._escape() or self._opens() or self._sum() or self._here_document():
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

    def _here_text(self) -> None:
        if not (self._escape() or self._opens()):
            self._take()

    def _computed(self) -> None:
        closing = COMPUTED[self._stack[-1]]
        if self._command.startswith(closing, self._at):
            self._take(len(closing))
            self._stack.pop()
        elif inner := NESTED.get(self._take()):
            self._stack.append(inner)

    def _escape(self) -> bool:
        if self._command[self._at] != "\\":
            return False
        self._take(2, outline=IN_QUOTES.sub("_", self._command[self._at + 1 : self._at + 2].strip("\n")))
        return True

    def _opens(self) -> bool:
        for opening, place in OPENINGS if self._command[self._at] in "$`" else ():
            if found := opening.match(self._command, self._at):
                self._take(len(found[0]), outline="$(" if place is Place.PLAIN else "_")
                self._stack.append(place)
                return True
        return False

    def _sum(self) -> bool:
        if not self._command.startswith("((", self._at):
            return False
        self._take(2, outline="_")
        self._stack.append(Place.SUM)
        return True

    def _until(self, closing: str) -> None:
        if self._command[self._at] == closing:
            self._take(outline="")
            self._stack.pop()
        else:
            self._take()

    def _comment(self) -> None:
        if self._command[self._at] == "\n":
            self._stack.pop()  # the newline itself is read outside the comment
        else:
            self._take(outline="")

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
            body = ""
            while self._at < len(self._command):
                line = self._line()
                body += line
                if (line.lstrip("\t") if strips_tabs else line).rstrip("\n") == delimiter:
                    break
            place = Place.QUOTED_HERE if quoted else Place.HERE
            self._out.append(_Reader(body, self._resolve, self._values, place).read())
        self._here = []

    def _line(self) -> str:
        end = self._command.find("\n", self._at) + 1 or len(self._command)
        line, self._at = self._command[self._at : end], end
        return line

    def _starts_word(self) -> bool:
        before = "".join(self._out[-2:])[-2:-1]
        return before == "" or before in " \t\n;&|()"

    def _take(self, count: int = 1, outline: str | None = None) -> str:
        taken = self._command[self._at : self._at + count]
        self._out.append(taken)
        if outline is None:
            outline = taken.strip("'\"") if self._stack[-1] is Place.PLAIN else IN_QUOTES.sub("_", taken)
        self._outline.append(outline)
        self._at += count
        return taken


def _refused(expression: str, place: str, advice: str) -> TemplateError:
    return TemplateError(f"${{{expression}}} cannot stand {place}; {advice}", expression)
