"""Look into a kept archive without unpacking it: which files it has, and how one of them begins."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from projects import archives, tar
from projects.uploads import limits


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of an archive. `size` is in bytes; `digest` tells contents apart."""

    path: str
    size: int
    digest: bytes


@dataclass(frozen=True)
class Look:
    """`files` by path. `content` is the beginning of the file that was asked for; None when there is no such file."""

    files: dict[str, FileFacts]
    content: bytes | None = None


def look(name: str, *, path: str = "", most: int = 0) -> Look:
    """The files of the archive `name`, and up to `most` bytes of the one at `path`. An empty name has no files.

    Reads the archive once, in pieces. Raises BadArchive when it is beyond the limits of today, FileNotFoundError when
    it is not in the storage.
    """
    if not name:
        return Look({})
    files: dict[str, FileFacts] = {}
    content = None
    with archives.original(name) as stored:
        for member, pieces in tar.members(stored, limits()):
            if member.is_folder:
                continue
            digest, begin = _read(pieces, most if member.path == path else 0)
            files[member.path] = FileFacts(member.path, member.size, digest)
            content = begin if member.path == path else content
    return Look(dict(sorted(files.items())), content)


def _read(pieces: Iterable[bytes], most: int) -> tuple[bytes, bytes]:
    digest, begin = hashlib.sha256(), b""
    for piece in pieces:
        digest.update(piece)
        begin += piece[: most - len(begin)]
    return digest.digest(), begin
