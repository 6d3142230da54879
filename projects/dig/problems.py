"""What is wrong in a project's files, said to the person who wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_SHOWN = 100
_LONGEST_WORD = 40


def printable(text: str) -> str:
    """A text as one line that cannot disturb what it is shown in: what cannot be seen is written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def short(word: str, limit: int = _LONGEST_WORD) -> str:
    """What somebody wrote, fit to be repeated in a sentence."""
    text = printable(word[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file, counted from 1. Line 0 is the file as a whole."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. `message` says what is wrong and what would be right, `text` is the line it stands in."""

    place: Place
    message: str
    text: str = ""

    def __str__(self) -> str:
        file = printable(self.place.file)
        where = f"{file}:{self.place.line}:{self.place.column}" if self.place.line else file
        return f"{where}: {self.message}" + (f"\n    {self.text}" if self.text else "")


class FilesRefused(Exception):  # noqa: N818 - named as the fact
    """The files are no project that could run. `problems` are all that were found, by file and line.

    `more` is true when there are more than MOST_SHOWN, and `problems` only the first of them.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems[:MOST_SHOWN])
        self.more = len(problems) > MOST_SHOWN
        self.message = "\n".join([self._headline(), *map(str, self.problems)])
        super().__init__(self.message)

    def _headline(self) -> str:
        files = len({problem.place.file for problem in self.problems})
        where = "1 file" if files == 1 else f"{files} files"
        if self.more:
            return f"More than {MOST_SHOWN} problems; these are the first, in {where}:"
        return f"{len(self.problems)} problems in {where}:" if len(self.problems) > 1 else "1 problem:"


class Enough(Exception):  # noqa: N818 - named as the fact
    """Looking for more problems would only take time: there are more than are shown, or far too much to read."""


class Problems:
    """Collects problems, each once, however many workflows include the file that it is in."""

    def __init__(self) -> None:
        self._found: set[Problem] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: Place, message: str) -> None:
        """Raises Enough once there are more than are shown."""
        self._found.add(Problem(place, message))
        if len(self._found) > MOST_SHOWN:
            raise Enough

    def in_order(self) -> list[Problem]:
        return sorted(self._found)
