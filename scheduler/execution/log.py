"""What an attempt's tasks wrote, on its way to the database: whole UTF-8 text, masked, no more than a limit."""

import codecs
import threading
from itertools import groupby
from operator import itemgetter

from projects.masking import Known, Masker


class AttemptLog:
    """Takes bytes, gives rows. Beyond `limit` bytes for the whole attempt it keeps one last line that says so.

    Its tasks may write at the same time, from threads of their own.
    """

    def __init__(self, *, limit: int, written: int = 0, secrets: Known | None = None) -> None:
        """`written`: how many bytes earlier deliveries of the attempt wrote. `secrets` are masked; more may come."""
        self._limit = limit
        self._secrets = Known() if secrets is None else secrets
        self._room = limit - written
        self._lock = threading.Lock()
        self._texts: list[tuple[int, str]] = []
        self._shown = 0
        self.waiting_bytes = 0

    def of(self, position: int) -> "TaskLog":
        """Where the task at `position` writes to."""
        return TaskLog(self, position, Masker(self._secrets))

    def waiting(self) -> list[tuple[int, str]]:
        """Position and text of what has not been written yet, joined as far as one task wrote on and on."""
        with self._lock:
            self._shown = len(self._texts)
            by_task = groupby(self._texts, key=itemgetter(0))
            return [(position, "".join(text for _, text in texts)) for position, texts in by_task]

    def written(self) -> None:
        """All that `waiting` showed last is in the database."""
        with self._lock:
            del self._texts[: self._shown]
            self._shown = 0
            self.waiting_bytes = sum(len(text) for _, text in self._texts)

    def admit(self, data: bytes) -> tuple[bytes, bool]:
        """As much of it as there is room for, and whether that was the last of the room."""
        with self._lock:
            kept = data[: max(self._room, 0)]
            self._room -= len(kept)
            self.waiting_bytes += len(kept)
            return kept, bool(kept) and self._room <= 0

    def take(self, position: int, text: str) -> None:
        if text := text.replace("\0", ""):
            with self._lock:
                self._texts.append((position, text))

    def say_full(self, position: int) -> None:
        self.take(position, f"\n[The log ends here: {self._limit} bytes is the most.]\n")


class TaskLog:
    """The log of one task, for one writer."""

    def __init__(self, log: AttemptLog, position: int, masker: Masker) -> None:
        self._log = log
        self._position = position
        self._masker = masker
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        """Any piece of output; a character, or a secret, may be cut between two pieces."""
        self._keep(self._masker.feed(data))

    def close(self) -> None:
        """What is left of a character that was cut off, or looked like the beginning of a secret."""
        self._keep(self._masker.finish())
        self._log.take(self._position, self._decoder.decode(b"", final=True))

    def _keep(self, data: bytes) -> None:
        kept, full = self._log.admit(data)
        self._log.take(self._position, self._decoder.decode(kept, final=full))
        if full:
            self._log.say_full(self._position)
