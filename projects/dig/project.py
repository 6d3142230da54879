"""The files of a project: which are workflows, and what includes what."""

import posixpath
from collections import defaultdict
from collections.abc import Mapping as Files
from functools import cached_property, partial

from projects.dig.language import closest
from projects.dig.nodes import Mapping, shown
from projects.dig.problems import Enough, Place, Problems, short
from projects.dig.source import Source, Unreadable, decode
from projects.dig.syntax import MOST_VALUES, parse

SUFFIX = ".dig"
DEEPEST_INCLUDE = 20
MOST_VALUES_TOGETHER = 10 * MOST_VALUES
_MOST_CANDIDATES = 50


def workflow_files(files: Files[str, bytes]) -> list[str]:
    """The workflows: `*.dig` at the top of the project, those with a leading dot aside."""
    return sorted(path for path in files if path.endswith(SUFFIX) and "/" not in path and not path.startswith("."))


class Project:
    """Reads each file once, whoever asks for it."""

    def __init__(self, files: Files[str, bytes], problems: Problems) -> None:
        self.sources: dict[str, Source] = {}
        self._files = files
        self._problems = problems
        self._read: dict[str, Mapping] = {}
        self._values = 0
        self._open: list[str] = []  # the file that is being read, and before it those that include it

    def mapping(self, path: str) -> Mapping:
        """What a file says, with its includes. An incomplete one, if need be empty, where problems were found."""
        if path not in self._read:
            self._open.append(path)
            self._read[path] = self._mapping(path)
            self._open.pop()
        return self._read[path]

    def _mapping(self, path: str) -> Mapping:
        try:
            source = self.sources[path] = decode(path, self._files[path])
            root = parse(
                source,
                include=partial(self._included, path),
                problems=self._problems,
                spend=partial(self._spend, path),
            )
        except Unreadable as refusal:
            self._problems.add(refusal.place, refusal.message)
            return Mapping(Place(path), complete=False)
        if isinstance(root, Mapping):
            return root
        if root is None:
            self._problems.add(Place(path), "The file is empty.")
        else:
            self._problems.add(root.place, f"A file holds keys with values, such as +task:, not {shown(root)}.")
        return Mapping(Place(path), complete=False)

    def _spend(self, path: str, values: int) -> None:
        self._values += values
        if self._values > MOST_VALUES_TOGETHER:
            self._problems.add(Place(path), f"The files have more than {MOST_VALUES_TOGETHER:,} values together.")
            raise Enough

    def _included(self, by: str, name: str, place: Place) -> Mapping:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(by), name))
        refusal = self._refusal(path, name)
        if not refusal:
            return self.mapping(path)
        self._problems.add(place, refusal)
        return Mapping(place, complete=False)

    def _refusal(self, path: str, name: str) -> str:
        """Why a path cannot be included; "" when it can."""
        if not name:
            return "!include takes the path of a file, as in \"!include : 'path.dig'\"."
        if "${" in name:
            return f"{short(name)}: files are included before anything runs, so a variable has no value here."
        if path.startswith("/") or path.split("/")[0] == "..":
            return f"{short(name)} is outside of the project; only its own files can be included."
        if path not in self._files:
            return self._missing(path, name)
        if path in self._open:
            circle = [*self._open[self._open.index(path) :], path]
            return f"A file cannot include itself: {', which includes '.join(circle[-4:])}."
        if len(self._open) > DEEPEST_INCLUDE:
            return f"Files include each other more than {DEEPEST_INCLUDE} deep."
        return ""

    def _missing(self, path: str, name: str) -> str:
        folder, file = posixpath.split(path)
        alike = [*self._neighbours[f"{folder}/"], *self._neighbours[file]][:_MOST_CANDIDATES]
        found = closest(path, [near for near in alike if near not in self._open])
        return f"There is no file {short(name)} in the project" + (f"; did you mean {short(found)}?" if found else ".")

    @cached_property
    def _neighbours(self) -> defaultdict[str, list[str]]:
        """All paths, by their folder (which ends with a slash) and by their last part."""
        near: defaultdict[str, list[str]] = defaultdict(list)
        for path in self._files:
            folder, file = posixpath.split(path)
            near[f"{folder}/"].append(path)
            near[file].append(path)
        return near
