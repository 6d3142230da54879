"""PURE: names of a project's files. Relative POSIX paths that mean the same file on every system, and no other."""

import re
import unicodedata
from functools import lru_cache

MOST_PATH_BYTES = 1024
MOST_NAME_BYTES = 255  # what file systems take
MOST_FOLDERS = 20

DRIVE = re.compile(r"[A-Za-z]:")
# They make a name show as another one: RIGHT-TO-LEFT OVERRIDE and its kin, and the marks of direction.
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = set("\u061c\u200e\u200f")


class BadPath(ValueError):  # noqa: N818 - named as the fact
    """A name that no file of a project may have. `path` is the name, `problem` what is wrong with it."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{shown(path)} {problem}")
        self.path = path
        self.problem = problem


def shown(path: str) -> str:
    """`path` for a message: quoted, with what does not print escaped, and shortened."""
    return repr(path if len(path) <= 80 else f"{path[:79]}…")


def checked(path: str) -> str:
    """`path` without `./` and doubled slashes; "" for the project's folder itself. Raises BadPath."""
    if path.startswith("/"):
        raise BadPath(path, "is an absolute path; give paths relative to the project.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadPath(path, "leads out of the project with `..`.")
    if len(parts) > MOST_FOLDERS + 1:
        raise BadPath(path, f"lies deeper than {MOST_FOLDERS} folders.")
    if problem := _problem(path, parts):
        raise BadPath(path, problem)
    return "/".join(parts)


def _problem(path: str, parts: list[str]) -> str:
    if path.isascii() and path.isprintable():  # the common case, in two quick tests
        size, longest = len(path), max(map(len, parts), default=0)
    else:
        if forbidden := next(filter(_is_forbidden, path), None):
            return f"contains the character U+{ord(forbidden):04X}."
        size, longest = len(path.encode()), max((len(part.encode()) for part in parts), default=0)
    if size > MOST_PATH_BYTES:
        return f"is longer than {MOST_PATH_BYTES} bytes."
    if longest > MOST_NAME_BYTES:
        return f"has a part longer than {MOST_NAME_BYTES} bytes."
    if "\\" in path:
        return "contains a backslash."
    if DRIVE.match(path):
        return "begins with a drive letter."
    return ""


@lru_cache(maxsize=1024)
def _is_forbidden(character: str) -> bool:
    category = unicodedata.category(character)
    return (
        category in {"Cc", "Cs", "Zl", "Zp"} or character in MARKS or unicodedata.bidirectional(character) in DIRECTIONS
    )


class Paths:
    """The paths of one project: no two that a file system may take for the same, and no file that is also a folder."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add_file(self, path: str) -> None:
        """Raises BadPath when `path`, checked before, is taken."""
        key = _key(path)
        if (other := self._files.get(key)) is not None:
            raise BadPath(path, _clash(path, other))
        if (other := self._folders.get(key)) is not None:
            raise BadPath(path, f"is a file, and {shown(other)} a folder.")
        self._files[key] = path
        self._add_parents(path)

    def add_folder(self, path: str) -> None:
        """A folder may be named more than once. Raises BadPath when it is a file, too."""
        if path:
            self._add_folder(path, named_by=path)
            self._add_parents(path)

    def _add_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        while parent and parent not in self._folders:
            self._add_folder(parent, named_by=path)
            parent = parent.rpartition("/")[0]

    def _add_folder(self, folder: str, *, named_by: str) -> None:
        key = _key(folder)
        if (other := self._files.get(key)) is not None:
            raise BadPath(named_by, f"needs the folder {shown(folder)}, and {shown(other)} is a file.")
        self._folders[key] = self._folders[folder] = folder


def _key(path: str) -> str:
    """The same for names that differ by case or by the way in which Unicode writes them."""
    return (
        path.lower() if path.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    )


def _clash(path: str, other: str) -> str:
    if path == other:
        return "is there twice."
    return f"and {shown(other)} are the same file where upper and lower case, or forms of Unicode, do not count."
