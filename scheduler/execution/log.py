"""What an attempt's tasks wrote, on its way to the database: whole UTF-8 text, no more than a limit."""

import codecs
from itertools import groupby
from operator import itemgetter


class AttemptLog:
    """Takes bytes, gives rows. Beyond `limit` bytes for the whole attempt it keeps one last line that says so."""

    def __init__(self, *, limit: int, written: int = 0) -> None:
        """`written`: how many bytes earlier deliveries of the attempt wrote."""
        self._limit = limit
        self._room = limit - written
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._position = 0
        self._texts: list[tuple[int, str]] = []
        self.waiting_bytes = 0

    def begin(self, position: int) -> None:
        """What follows is the task's at `position`."""
        self._take(self._decoder.decode(b"", final=True))
        self._decoder.reset()
        self._position = position

    def write(self, data: bytes) -> None:
        """Any piece of output; a character may be cut between two pieces."""
        if self._room <= 0 or not data:
            return
        kept = data[: self._room]
        self._room -= len(kept)
        self._take(self._decoder.decode(kept))
        self.waiting_bytes += len(kept)
        if self._room <= 0:
            self._take(f"\n[The log ends here: {self._limit} bytes is the most.]\n")

    def waiting(self) -> list[tuple[int, str]]:
        """Position and text of what has not been written yet, joined by task."""
        by_task = groupby(self._texts, key=itemgetter(0))
        return [(position, "".join(text for _, text in texts)) for position, texts in by_task]

    def written(self) -> None:
        """All that was waiting is in the database."""
        self._texts.clear()
        self.waiting_bytes = 0

    def _take(self, text: str) -> None:
        if text := text.replace("\0", ""):
            self._texts.append((self._position, text))
