"""PURE: the one reader of project archives (tar.gz), made for what strangers send.

It reads strictly, in one pass, with limits, and gives files and folders alone. The standard library's `tarfile` is
left aside: it believes sizes, keeps extended headers of any length in memory, ends quietly at the first broken
header, and which names its filters refuse depends on the patch level of Python.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from projects.paths import BadPath, Paths, checked, shown

BLOCK = 512
PIECE = 64 * 1024
MOST_HEADER_BYTES = 64 * 1024  # of one extended header: long names and attributes
END = bytes(BLOCK)

FILES = {b"0", b"\0", b"7"}
FOLDER = b"5"
SPARSE = b"S"
REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
}
OTHER_FORMATS = {
    b"PK": "a ZIP file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"<": "a page of HTML or XML",
    b"{": "JSON",
}
OCTAL = re.compile(rb" *([0-7]*) *")
RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=]+)=")
SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class BadArchive(ValueError):  # noqa: N818 - named as the fact
    """An archive that is not taken. `member` is the name in it, "" for the whole; `problem` is what is wrong."""

    def __init__(self, problem: str, *, member: str = "") -> None:
        super().__init__(f"{shown(member)} {problem}" if member else problem)
        self.member = member
        self.problem = problem


class NotAnArchive(BadArchive):
    """Something else than a tar.gz."""


class ArchiveTooLarge(BadArchive):
    """More bytes or more members than a limit allows. `limit` is that limit."""

    def __init__(self, problem: str, *, limit: int, member: str = "") -> None:
        super().__init__(problem, member=member)
        self.limit = limit


class SparseFile(ArchiveTooLarge):
    """A few bytes that stand for a file of any length. None is taken, so the limit is 0."""

    def __init__(self, member: str = "") -> None:
        what = "is a sparse file" if member else "There is a sparse file"
        super().__init__(f"{what}; only whole files are taken.", limit=0, member=member)


@dataclass(frozen=True)
class Limits:
    """Bytes of the whole unpacked archive, its headers and padding too; files and folders in it."""

    unpacked_bytes: int
    members: int


@dataclass(frozen=True)
class Member:
    """A file or a folder. `path` is relative, checked, and unlike every other of the archive; `size` is in bytes."""

    path: str
    size: int
    executable: bool
    is_folder: bool


def members(stream: Source, limits: Limits) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """What the archive holds, in its order, each with its content in pieces: read them before the next member.

    The whole is known to be sound only at the end: until then, keep what you read where it can be thrown away.
    Raises BadArchive.
    """
    archive = Unzipped(stream, limits.unpacked_bytes)
    paths = Paths()
    for number, header in enumerate(_headers(archive), 1):
        if number > limits.members:
            raise ArchiveTooLarge(f"The archive holds more than {limits.members:,} members.", limit=limits.members)
        member = _member(header, paths)
        if member.size > archive.room:
            raise _too_large(limits.unpacked_bytes, header.name)
        pieces = archive.pieces(member.size)
        if member.path:
            yield member, pieces
        archive.skip()


def _member(header: "_Header", paths: Paths) -> Member:
    if header.kind == SPARSE:
        raise SparseFile(header.name)
    is_folder = header.kind == FOLDER or (header.kind in FILES and header.name.endswith("/"))
    if not is_folder and header.kind not in FILES:
        kind = REFUSED.get(header.kind, f"of the unknown type {header.kind!r}")
        raise BadArchive(f"is {kind}; only files and folders are taken.", member=header.name)
    if is_folder and header.size:
        raise BadArchive("is a folder with a size.", member=header.name)
    try:
        path = checked(header.name)
        paths.add_folder(path) if is_folder else paths.add_file(path)
    except BadPath as error:
        raise BadArchive(error.problem, member=error.path) from None
    if not path and not is_folder:
        raise BadArchive("There is a file without a name.")
    return Member(path, header.size, bool(header.mode & 0o111), is_folder)


class Unzipped:
    """What a gzip stream unpacks to, never more than `limit` bytes of it, and a piece at a time."""

    def __init__(self, stream: Source, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._buffer = b""
        self._at = 0
        self._left = self._padding = 0
        self._seen = 0
        self._fill_first()

    @property
    def room(self) -> int:
        """Bytes that may still follow."""
        return self._limit - self._seen + self._waiting

    @property
    def _waiting(self) -> int:
        return len(self._buffer) - self._at

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises BadArchive when there are fewer."""
        while self._waiting < size:
            if not self._fill():
                raise BadArchive("The archive ends in the middle.")
        taken = self._buffer[self._at : self._at + size]
        self._at += size
        return taken

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, in pieces; what is left of them, and the padding, is for `skip`."""
        self._left, self._padding = size, -size % BLOCK
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        while self._left:
            piece = self.take(min(self._left, self._waiting or PIECE))
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        for _ in self._pieces():
            pass
        self.take(self._padding)

    def finish(self) -> None:
        """Raises BadArchive unless nothing follows but zeros, in this one gzip stream."""
        while self._waiting or self._fill():
            if self._buffer[self._at :] != bytes(self._waiting):
                raise BadArchive("There is more after the end of the archive.")
            self._at = len(self._buffer)
        if self._gzip.unused_data or self._stream.read(1):
            raise BadArchive("There is more after the end of the gzip stream.")

    def _fill_first(self) -> None:
        begin = self._stream.read(PIECE)
        if not begin:
            raise NotAnArchive("There is nothing in it: send a tar.gz of the project.")
        if not begin.startswith(b"\x1f\x8b"):
            found = next((name for magic, name in OTHER_FORMATS.items() if begin.startswith(magic)), "something else")
            raise NotAnArchive(f"This is {found}: send a tar.gz of the project.")
        self._unzip(begin)

    def _fill(self) -> bool:
        """More bytes to `_buffer`. False at the end of the gzip stream."""
        if self._gzip.eof:
            return False
        # At the end of the stream zlib may hold back output still: ask it once more.
        given = self._gzip.unconsumed_tail or self._stream.read(PIECE)
        if not self._unzip(given) and not given and not self._gzip.eof:
            raise BadArchive("The gzip stream ends in the middle.")
        return True

    def _unzip(self, given: bytes) -> bytes:
        try:
            piece = self._gzip.decompress(given, PIECE)
        except zlib.error as error:
            raise BadArchive(f"The gzip stream is damaged: {error}.") from None
        self._seen += len(piece)
        if self._seen > self._limit:
            raise _too_large(self._limit)
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0
        return piece


def _too_large(limit: int, member: str = "") -> ArchiveTooLarge:
    problem = f"makes the archive unpack to more than {limit:,} bytes." if member else ""
    return ArchiveTooLarge(problem or f"The archive unpacks to more than {limit:,} bytes.", limit=limit, member=member)


@dataclass
class _Header:
    kind: bytes
    name: str
    size: int
    mode: int


@dataclass
class _Extension:
    """What extended headers say of the member that follows them."""

    name: str | None = None
    size: int | None = None
    kinds: set[bytes] = field(default_factory=set)


def _headers(archive: Unzipped) -> Iterator[_Header]:
    """The members' headers up to the archive's end, with extended headers applied."""
    extension = _Extension()
    first = True
    while (block := archive.take(BLOCK)) != END:
        _check_sum(block, first=first)
        first = False
        kind, size = block[156:157], _number(block[124:136], "size")
        if kind in (b"x", b"g", b"L", b"K"):
            _extend(extension, kind, _extended(archive, size))
            continue
        name = extension.name if extension.name is not None else _name_in(block)
        yield _Header(kind, name, size if extension.size is None else extension.size, _number(block[100:108], "mode"))
        extension = _Extension()
    if extension.kinds:
        raise BadArchive("An extended header belongs to no member.")
    archive.finish()


def _extended(archive: Unzipped, size: int) -> bytes:
    if size > MOST_HEADER_BYTES:
        raise BadArchive(f"An extended header is longer than {MOST_HEADER_BYTES:,} bytes.")
    content = archive.take(size)
    archive.take(-size % BLOCK)
    return content


def _extend(extension: _Extension, kind: bytes, content: bytes) -> None:
    if kind in extension.kinds:
        raise BadArchive("There are two extended headers of one kind for one member.")
    extension.kinds.add(kind)
    if kind == b"L":
        extension.name = _text(content) if extension.name is None else extension.name
    elif kind in (b"x", b"g"):
        records = _records(content)
        if kind == b"g" and records:
            raise BadArchive("A global header gives one path or size to all members.")
        if "path" in records:
            extension.name = _text(records["path"], terminated=False)
        if "size" in records:
            extension.size = _record_size(records["size"])


def _records(content: bytes) -> dict[str, bytes]:
    """The records of a PAX header that change where a member lies or how long it is; others (times, owners) do not."""
    found = {}
    at = 0
    while at < len(content):
        record = RECORD.match(content, at)
        end = at + int(record[1]) if record else 0
        if record is None or end <= record.end() or end > len(content) or content[end - 1 : end] != b"\n":
            raise BadArchive("An extended header is malformed.")
        key = record[2]
        if key.startswith(b"GNU.sparse."):
            raise SparseFile
        if key in (b"path", b"size"):
            found[key.decode()] = content[record.end() : end - 1]
        at = end
    return found


def _record_size(value: bytes) -> int:
    text = value.decode("ascii", "replace")
    if not SIZE.fullmatch(text):
        raise BadArchive(f"An extended header gives the size {shown(text)}.")
    return int(text)


def _name_in(block: bytes) -> str:
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:  # elsewhere (GNU) other things stand in the prefix's place
        return f"{_text(block[345:500])}/{name}"
    return name


def _text(raw: bytes, *, terminated: bool = True) -> str:
    name = raw.rstrip(b"\0") if terminated else raw
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise BadArchive("is not UTF-8.", member=name.decode("utf-8", "backslashreplace")) from None
    if not text or "\0" in text:
        raise BadArchive("contains a NUL." if text else "There is a member without a name.", member=text)
    return text


def _number(digits: bytes, what: str) -> int:
    """Octal digits, or binary with the highest bit set (GNU), never negative."""
    if digits[0] == 0x80:
        return int.from_bytes(digits[1:], "big")
    octal = OCTAL.fullmatch(digits.partition(b"\0")[0])
    if octal is None:
        raise BadArchive(f"A header gives the {what} {shown(digits.decode('ascii', 'backslashreplace'))}.")
    return int(octal[1] or b"0", 8)


def _check_sum(block: bytes, *, first: bool) -> None:
    expected = OCTAL.fullmatch(block[148:156].partition(b"\0")[0])
    if expected is None or int(expected[1] or b"0", 8) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        if first:
            raise NotAnArchive("There is no tar in the gzip file: send a tar.gz of the project.")
        raise BadArchive("A header is damaged.")
