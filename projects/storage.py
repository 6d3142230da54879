"""Where archives and logs are kept on a file system: a file is under its name whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from django.utils.deconstruct import deconstructible

HALF_A_FILE = ".incoming-"  # how the name of one begins that is being written


@deconstructible(path="projects.storage.WholeFileStorage")
class WholeFileStorage(FileSystemStorage):
    """For names that follow from the content. Written aside, then renamed: whoever is killed leaves no half file.

    Two who save the same name at once write the same bytes, so the second takes the place of the first.
    Object stores, S3 for one, do both by themselves.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name: str, content: File[Any]) -> str:
        path = Path(self.path(name))
        new = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=HALF_A_FILE, delete=False) as file:
            try:
                self._write(file.fileno(), content)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
        _keep_entries(path.parent)
        if new:
            _keep_entries(path.parent.parent)
        return name

    def _write(self, file: int, content: File[Any]) -> None:
        for piece in content.chunks():
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(file, rest) :]
        if self.file_permissions_mode is not None:
            os.fchmod(file, self.file_permissions_mode)
        os.fsync(file)


def _keep_entries(folder: Path) -> None:
    """After a power cut the name is there, too: the database may remember it by then."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
