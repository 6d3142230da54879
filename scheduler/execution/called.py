"""Workflow files in folders of a project, which `call>` names: no workflows by themselves, and read when called."""

from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache
from typing import Any

from projects import archives, dig
from projects.dig import FilesRefused
from projects.uploads import ProjectFiles, limits
from scheduler.execution.operators.base import TaskFailed
from scheduler.language import LANGUAGE

SUFFIX = ".dig"


@lru_cache(maxsize=64)
def document_of(archive: str, path: str) -> Mapping[str, Any]:
    """What the file at `path` (without its `.dig`) in the archive says. An archive never changes. Raises TaskFailed."""
    file = path + SUFFIX
    with closing(ProjectFiles()) as files:
        _fill(files, archive)
        if file not in files:
            raise TaskFailed(f"There is no file {file[:200]!r} in this project.")
        try:
            return dig.read_file(files, file, language=LANGUAGE)
        except FilesRefused as refusal:
            raise TaskFailed(refusal.message) from None


def _fill(files: ProjectFiles, archive: str) -> None:
    if not archive:
        return
    try:
        with archives.original(archive) as stored:
            files.read_from(stored, limits())
    except Exception as error:  # every storage has its own
        raise TaskFailed(f"The project's files could not be read: {error}") from error
