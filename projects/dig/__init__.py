"""The `.dig` files of a project, as in Digdag: read, checked, and every mistake told with its file and line. PURE."""

from projects.dig.directives import directive_problems
from projects.dig.language import DEEPEST_TASKS, MOST_TASKS, Language
from projects.dig.problems import FilesRefused, Place, Problem
from projects.dig.reading import Document, read, read_file

__all__ = [
    "DEEPEST_TASKS",
    "MOST_TASKS",
    "Document",
    "FilesRefused",
    "Language",
    "Place",
    "Problem",
    "directive_problems",
    "read",
    "read_file",
]
