"""VERBS: read an attempt's log, wherever it is, and move that of an attempt that is done into the storage `logs`.

While the attempt runs its log is in the database, in pieces. Some time after its end they become a file for each task,
and go: the files are written first, then one transaction notes them and deletes the pieces. A crash in between leaves
files that nobody knows of, under the names that the next move writes again. Files follow from the pieces alone, so who
moves the same log at the same time writes the same bytes.
"""

import gzip
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Min, Sum
from django.db.models.functions import Now

from projects.storage import HALF_A_FILE
from scheduler.crashpoints import crashpoint
from scheduler.errors import HindcastError
from scheduler.models import LogChunk, LogFile
from scheduler.models.log import Bytes

STORAGE = "logs"
FOLDER_OF = 1000  # attempts whose files share a folder
NAME = re.compile(r"[0-9]{1,16}/([0-9]{1,18})\.[0-9]{1,10}\.log\.gz", re.ASCII)

log = structlog.get_logger(__name__)


class LogUnavailable(HindcastError):  # noqa: N818 - named as the fact
    """The storage does not give a file that it should have: it is out of reach, or the file was removed."""

    def __init__(self, name: str) -> None:
        super().__init__("The storage of logs does not answer with this log. Try again later.")
        self.name = name


@dataclass(frozen=True)
class TaskText:
    """The log of the task at `position`: its size in bytes, and when the first of it was written (UTC)."""

    position: int
    size: int
    written_at: datetime


# --- reading ----------------------------------------------------------------------------------------------------


def tasks_with_text(attempt_id: int) -> list[TaskText]:
    """Of every task that wrote something, in the order of the tasks."""
    rows = LogChunk.objects.filter(attempt=attempt_id).order_by("position").values_list("position")
    found = [TaskText(*row) for row in rows.annotate(size=Sum(Bytes("text")), first=Min("written_at"))]
    return found or [TaskText(file.position, file.size, file.written_at) for file in kept_files(attempt_id)]


def positions(attempt_id: int) -> set[int]:
    """Which tasks wrote something."""
    pieces = LogChunk.objects.filter(attempt=attempt_id).values_list("position")
    files = LogFile.objects.filter(attempt=attempt_id).values_list("position")
    return {position for (position,) in pieces.union(files)}


def gzipped(attempt_id: int, position: int) -> bytes:
    """The log of one task. Raises LogUnavailable, and LogFile.DoesNotExist when it wrote nothing."""
    chunks = LogChunk.objects.filter(attempt=attempt_id, position=position).order_by("pk")
    if texts := list(chunks.values_list("text", flat=True)):
        return _gzipped("".join(texts))
    return _stored(LogFile.objects.get(attempt=attempt_id, position=position).name)


def text(attempt_id: int, positions: Collection[int] | None = None) -> Iterator[str]:
    """The whole log, or that of the tasks at `positions`, piece by piece. Raises LogUnavailable.

    One statement: what is moved meanwhile is read to its end.
    """
    chunks = LogChunk.objects.filter(attempt=attempt_id).order_by("pk")
    if positions is not None:
        chunks = chunks.filter(position__in=positions)
    some = False
    for piece in chunks.values_list("text", flat=True).iterator(chunk_size=16):
        some = True
        yield piece
    if not some:
        for file in kept_files(attempt_id):
            if positions is None or file.position in positions:
                yield kept_text(file)


def kept_files(attempt_id: int) -> list[LogFile]:
    """The files of an attempt whose log was moved, in the order of the tasks; none while it was not."""
    return list(LogFile.objects.filter(attempt=attempt_id).order_by("position"))


def kept_text(file: LogFile) -> str:
    """What the file holds. Raises LogUnavailable."""
    return gzip.decompress(_stored(file.name)).decode()


def _stored(name: str) -> bytes:
    try:
        with storages[STORAGE].open(name) as file:
            content: bytes = file.read()
            return content
    except Exception as error:  # every storage has its own
        log.warning("log_not_read", name=name, error=repr(error))
        raise LogUnavailable(name) from error


# --- moving -----------------------------------------------------------------------------------------------------


def movable(*, after: int = 0, limit: int) -> list[int]:
    """The first attempts, by id after `after`, whose end is HINDCAST_LOG_MOVE_SECONDS ago by the database's clock."""
    wait = timedelta(seconds=settings.HINDCAST_LOG_MOVE_SECONDS)
    pieces = LogChunk.objects.filter(attempt__gt=after, attempt__finished_at__lt=Now() - wait)
    return list(pieces.order_by("attempt_id").values_list("attempt_id", flat=True).distinct()[:limit])


@dataclass(frozen=True)
class Written:
    """An attempt's log that is in the storage, and not noted yet. `last_piece` is the id of the last that is in it."""

    attempt_id: int
    last_piece: int
    files: list[LogFile]


def move(attempt_id: int) -> int:
    """Move the log of an attempt that is done. Returns how many files it has now; 0 when there was nothing to move.

    Raises whatever the storage does when it fails; nothing is lost then, and the same call does the rest.
    """
    written = write(attempt_id)
    return len(written.files) if written and note([written]) else 0


def write(attempt_id: int) -> Written | None:
    """The first half of `move`: the files. None when there is nothing to move."""
    pieces = list(LogChunk.objects.filter(attempt=attempt_id).order_by("pk"))  # in one statement: all of them or none
    if not pieces:
        return None
    return Written(
        attempt_id, pieces[-1].pk, [_kept(attempt_id, position, group) for position, group in _by_task(pieces)]
    )


def note(written: Iterable[Written]) -> int:
    """The second half, for many at once, in one transaction. Returns of how many; the others were moved by somebody."""
    crashpoint("logs.after_files")
    with transaction.atomic():
        ours = [one for one in written if _delete_pieces(one)]
        LogFile.objects.bulk_create(file for one in ours for file in one.files)
    crashpoint("logs.after_move")
    return len(ours)


def _delete_pieces(written: Written) -> bool:
    return LogChunk.objects.filter(attempt=written.attempt_id, pk__lte=written.last_piece).delete()[0] > 0


def _by_task(pieces: Iterable[LogChunk]) -> Iterator[tuple[int, list[LogChunk]]]:
    in_order = sorted(((piece.position, piece) for piece in pieces), key=itemgetter(0))
    for position, group in groupby(in_order, key=itemgetter(0)):
        yield position, [piece for _, piece in group]


def _kept(attempt_id: int, position: int, pieces: Sequence[LogChunk]) -> LogFile:
    text = "".join(piece.text for piece in pieces)
    return LogFile(
        attempt_id=attempt_id,
        position=position,
        name=_save(f"{attempt_id // FOLDER_OF}/{attempt_id}.{position}.log.gz", _gzipped(text)),
        size=len(text.encode()),
        lines=text.count("\n"),
        written_at=pieces[0].written_at,
    )


def _save(name: str, content: bytes) -> str:
    """Under this name and no other: some storages give a second file a name of its own."""
    storage = storages[STORAGE]
    saved = storage.save(name, ContentFile(content))
    if saved == name:
        return name
    storage.delete(saved)
    storage.delete(name)
    return storage.save(name, ContentFile(content))


def _gzipped(text: str) -> bytes:
    """The same for the same text: without a time in it."""
    return gzip.compress(text.encode(), mtime=0)


# --- files that nobody knows of ---------------------------------------------------------------------------------


def folders() -> list[str]:
    """The folders of the storage, in order."""
    try:
        found, _ = storages[STORAGE].listdir("")
    except FileNotFoundError:  # nothing was moved yet
        return []
    return sorted((name for name in found if name.isascii() and name.isdecimal()), key=int)


def sweep_folder(folder: str, *, before: datetime) -> int:
    """Remove files of a folder of the storage that no row names and that are older than `before`. Returns how many.

    What a crash left is named by a row once the move was repeated, but for attempts that are gone and for half a file.
    """
    storage = storages[STORAGE]
    there = {f"{folder}/{name}" for name in storage.listdir(folder)[1]}
    of_folder = range(int(folder) * FOLDER_OF, (int(folder) + 1) * FOLDER_OF)
    known = LogFile.objects.filter(attempt__gte=of_folder.start, attempt__lt=of_folder.stop)
    there -= set(known.values_list("name", flat=True))
    ids = {name: int(found[1]) for name in there if (found := NAME.fullmatch(name))}
    waiting = set(LogChunk.objects.filter(attempt__in=set(ids.values())).values_list("attempt", flat=True))
    strangers = {name for name, attempt_id in ids.items() if attempt_id not in waiting}
    strangers |= {name for name in there if name.startswith(f"{folder}/{HALF_A_FILE}")}
    return sum(_removed(name, before) for name in strangers)


def _removed(name: str, before: datetime) -> bool:
    storage = storages[STORAGE]
    with suppress(FileNotFoundError):  # it was half a file, and is a whole one now
        if storage.get_modified_time(name) < before:
            storage.delete(name)
            return True
    return False
