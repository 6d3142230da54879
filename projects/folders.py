"""A project's folder on this machine, as the archive that a client would send."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from projects.tar import BadArchive
from projects.uploads import Upload, receive

# What tools leave behind; as the clients of Digdag, without what begins with a dot.
LEFT_OUT = {"__pycache__", "venv", "node_modules"}


def pack_folder(folder: Path) -> Upload:
    """Everything in `folder` but hidden files and what tools leave behind; the same for the same files.

    Raises BadArchive for a link, and for what no archive may hold; NotADirectoryError.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"There is no folder {folder}.")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=6) as archive:
        for path in _files(folder):
            _add(archive, path, path.relative_to(folder).as_posix())
    size = content.tell()
    content.seek(0)
    return receive(content, declared=size)


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LEFT_OUT)
        yield from (Path(here, name) for name in sorted(names) if not name.startswith("."))


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    if path.is_symlink():
        raise BadArchive("It is a link; put the file itself there.", member=name)
    member = tarfile.TarInfo(name)
    member.size = path.stat().st_size
    member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
    with path.open("rb") as file:
        archive.addfile(member, file)
