"""VERBS: keep projects' archives in the `archives` storage, each once and as it came, and unpack them for a run."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import storages

from projects import tar
from projects.paths import BadPath, checked
from projects.tar import BadArchive
from projects.uploads import Upload, limits, receive

__all__ = ["Archive", "BadArchive", "extract", "keep", "original", "pack", "store"]


@dataclass(frozen=True)
class Archive:
    """A kept archive: its name in the storage, MD5 (base64) and size in bytes as uploaded. Empty for no files."""

    name: str = ""
    md5: str = ""
    size: int = 0


def keep(upload: Upload) -> Archive:
    """Store `upload`, byte for byte, under a name that follows from its content; once, however often it comes."""
    name = f"{upload.sha256}.tar.gz"
    storage = storages["archives"]
    if not storage.exists(name):
        saved = storage.save(name, File(upload.content, name))
        if saved != name:  # somebody was faster, and this storage gives the second file another name
            storage.delete(saved)
    return Archive(name, upload.md5, upload.size)


def pack(files: Mapping[str, bytes], *, executable: Collection[str] = frozenset()) -> Upload:
    """`files` (relative POSIX paths) as an archive, the same for the same files. Raises BadArchive."""
    content = gzip.compress(_packed(files, executable), mtime=0)
    return receive(io.BytesIO(content), declared=len(content))


def store(files: Mapping[str, bytes]) -> str:
    """Pack `files` and keep them. Returns the archive's name; "" for no files. Raises BadArchive."""
    if not files:
        return ""
    with pack(files) as upload:
        return keep(upload).name


def original(name: str) -> File[Any]:
    """The archive `name` as it was uploaded, open for reading. Raises FileNotFoundError."""
    return storages["archives"].open(name)


def extract(name: str, directory: Path) -> None:
    """Unpack the archive `name` into the existing, empty `directory`: plain files and folders, nothing else.

    Owners, times and modes in the archive do not count, but for whether the owner may execute a file. Raises
    BadArchive when the archive is not sound, or beyond the limits of today, FileNotFoundError when there is none.
    """
    with original(name) as stored:
        folders = _Folders(directory)
        for member, pieces in tar.members(stored, limits()):
            if member.is_folder:
                folders.make(member.path)
            else:
                folders.make(member.path.rpartition("/")[0])
                _write(f"{directory}/{member.path}", pieces, 0o755 if member.executable else 0o644)


class _Folders:
    """Makes each folder once; asking the file system for each file would be most of the work."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made = {""}

    def make(self, path: str) -> None:
        if path not in self._made:
            Path(self._directory, path).mkdir(parents=True, exist_ok=True)
            self._made.add(path)


def _write(path: str, pieces: Iterable[bytes], mode: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)


def _packed(files: Mapping[str, bytes], executable: Collection[str]) -> bytes:
    """Byte for byte the same for the same files: no times, no owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(_inside(path))
            member.size = len(files[path])
            member.mode = 0o755 if path in executable else 0o644
            archive.addfile(member, io.BytesIO(files[path]))
    return buffer.getvalue()


def _inside(path: str) -> str:
    """`path`, checked before `tarfile` writes it: it would cut a name at a NUL."""
    try:
        if name := checked(path):
            return name
    except BadPath as error:
        raise BadArchive(error.problem, member=path) from None
    raise BadArchive("There is a file without a name.")
