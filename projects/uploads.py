"""Take in an upload: a project's tar.gz as a client sends it, read within limits before anything is stored."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from threading import Event, Timer
from types import TracebackType

from django.conf import settings

from projects import tar
from projects.tar import ArchiveTooLarge, BadArchive, Limits, Source

IN_MEMORY_BYTES = 1024 * 1024  # of an upload, and of its files; the rest waits in a temporary file without a name


class UploadTooLarge(ArchiveTooLarge):
    """The body is longer than HINDCAST_MAX_UPLOAD_BYTES. `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The upload is longer than {limit:,} bytes.", limit=limit)


class WrongLength(BadArchive):
    """The body is not as long as was declared, or nothing was declared (`declared` is None). In bytes."""

    def __init__(self, declared: int | None, received: int) -> None:
        told = (
            "No Content-Length was" if declared is None else f"The Content-Length was {declared:,}, {received:,} bytes"
        )
        super().__init__(f"{told} sent." if declared is None else f"{told} came.")
        self.declared = declared
        self.received = received


class UploadTooSlow(BadArchive):
    """The body did not come within HINDCAST_MAX_UPLOAD_SECONDS (`seconds`)."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The upload took longer than {seconds:g} s.")
        self.seconds = seconds


class ProjectFiles(Mapping[str, bytes]):
    """Relative POSIX path to content, in the archive's order. Contents are read from a temporary file on demand."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int, bool]] = {}
        self._contents = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - closed by `close`

    def read_from(self, stream: Source, limits: Limits) -> None:
        """Fill with the files of an archive. Folders are left out. Raises BadArchive."""
        start = 0
        for member, pieces in tar.members(stream, limits):
            if member.is_folder:
                continue
            for piece in pieces:
                self._contents.write(piece)
            self._places[member.path] = (start, member.size, member.executable)
            start += member.size

    def is_executable(self, path: str) -> bool:
        """Raises KeyError when there is no such file."""
        return self._places[path][2]

    def close(self) -> None:
        self._contents.close()

    def __getitem__(self, path: str) -> bytes:
        start, size, _ = self._places[path]
        self._contents.seek(start)
        return self._contents.read(size)

    def __contains__(self, path: object) -> bool:  # the mixin's would read the content
        return path in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@dataclass(frozen=True)
class Upload:
    """A sound archive, not stored yet. Close it, or use it in `with`: its temporary files go then.

    `md5` is base64, as the wire's `archiveMd5`; `sha256` hexadecimal; `size` the bytes of `content`, as they came.
    """

    content: "SpooledTemporaryFile[bytes]"
    size: int
    md5: str
    sha256: str
    files: ProjectFiles

    def close(self) -> None:
        self.content.close()
        self.files.close()

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def receive(stream: Source, *, declared: int | None, cut: Callable[[], object] | None = None) -> Upload:
    """Read the body of a request, `declared` bytes long by its own word, and look through the archive in it.

    `cut` is called, from another thread, when HINDCAST_MAX_UPLOAD_SECONDS are over and a read still waits: it should
    make that read return, as `socket.shutdown` does. Raises BadArchive, UploadTooLarge, WrongLength, UploadTooSlow;
    nothing is left then. Errors of the connection itself (OSError) pass through.
    """
    if declared is None:
        raise WrongLength(None, 0)
    if declared > settings.HINDCAST_MAX_UPLOAD_BYTES:
        raise UploadTooLarge(settings.HINDCAST_MAX_UPLOAD_BYTES)
    content, files = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES), ProjectFiles()  # noqa: SIM115 - Upload closes them
    try:
        md5, sha256 = _copy(stream, content, declared, cut)
        content.seek(0)
        files.read_from(content, limits())
    except BaseException:
        content.close()
        files.close()
        raise
    return Upload(content, declared, md5, sha256, files)


def limits() -> Limits:
    """The limits of this installation, for what comes in and for what is unpacked."""
    return Limits(
        unpacked_bytes=settings.HINDCAST_MAX_ARCHIVE_BYTES,
        members=settings.HINDCAST_MAX_ARCHIVE_MEMBERS,
    )


def _copy(
    stream: Source, content: "SpooledTemporaryFile[bytes]", declared: int, cut: Callable[[], object] | None
) -> tuple[str, str]:
    """MD5 in base64 and SHA-256 in hexadecimal of what came: exactly `declared` bytes."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    received = 0
    with _deadline(cut) as check_time:
        while received < declared and (piece := stream.read(min(tar.PIECE, declared - received))):
            received += len(piece)
            for sink in (content.write, md5.update, sha256.update):
                sink(piece)
            check_time()
        check_time()
    if received != declared:
        raise WrongLength(declared, received)
    return b64encode(md5.digest()).decode(), sha256.hexdigest()


@contextmanager
def _deadline(cut: Callable[[], object] | None) -> Iterator[Callable[[], None]]:
    """Gives a function that raises UploadTooSlow once the time is over. So does an error of a read that was cut."""
    over = Event()

    def expire() -> None:
        over.set()
        if cut is not None:
            cut()

    def check() -> None:
        if over.is_set():
            raise UploadTooSlow(settings.HINDCAST_MAX_UPLOAD_SECONDS)

    timer = Timer(settings.HINDCAST_MAX_UPLOAD_SECONDS, expire)
    timer.daemon = True
    timer.start()
    try:
        yield check
    except OSError:
        check()
        raise
    finally:
        timer.cancel()
