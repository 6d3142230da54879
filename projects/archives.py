"""Project files, packed as tar.gz in the `archives` storage: each archive once, named by its content."""

import gzip
import io
import shutil
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath

from django.core.files.base import ContentFile
from django.core.files.storage import storages


class BadArchive(ValueError):  # noqa: N818 - named as the fact
    """A file in the archive has a name or a type that is never unpacked."""


def store(files: Mapping[str, bytes]) -> str:
    """Keep `files` (relative POSIX paths) as one archive. Returns its name; "" for no files.

    The same files give the same name, and are kept once. Raises BadArchive for a path that leaves the project.
    """
    if not files:
        return ""
    content = _packed(files)
    name = f"{sha256(content).hexdigest()}.tar.gz"
    storage = storages["archives"]
    if not storage.exists(name):
        storage.save(name, ContentFile(content))
    return name


def extract(name: str, directory: Path) -> None:
    """Unpack the archive `name` into the existing, empty `directory`: plain files and folders, nothing else.

    Raises BadArchive when it holds anything else, FileNotFoundError when there is no such archive.
    """
    with storages["archives"].open(name) as stored, tarfile.open(fileobj=stored, mode="r:gz") as archive:
        for member in archive:
            _unpack(archive, member, directory)


def _packed(files: Mapping[str, bytes]) -> bytes:
    """Byte for byte the same for the same files: no times, no owners; gzip's own time is left at 0."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(str(_inside(path)))
            member.size = len(files[path])
            archive.addfile(member, io.BytesIO(files[path]))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _inside(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise BadArchive(f"{path!r} is not a path inside the project.")
    return pure


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    target = directory / _inside(member.name)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    content = archive.extractfile(member) if member.isfile() else None
    if content is None:
        raise BadArchive(f"{member.name!r} is neither a file nor a folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file)
