"""PURE: secrets in what is shown become `***`, also when a secret comes in two pieces of a stream.

Masked are the values as they are, and as they look in a URL, in JSON and in a Python traceback; of a value with
several lines, each line of at least eight characters, too. Values of fewer than four characters are not masked: they
would be found everywhere, and what is left between the stars would give them away. A value that a program changes in
another way (base64, reversed, letter by letter) is not recognised.
"""

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = b"***"
SHORTEST = 4
SHORTEST_LINE = 8


def mask(text: str, values: Iterable[str]) -> str:
    """`text` with every one of `values` in it replaced by `***`."""
    masker = Masker(values)
    return (masker.feed(text.encode(errors="surrogatepass")) + masker.finish()).decode(errors="surrogatepass")


class Masker:
    """A stream of UTF-8 bytes, masked. It holds back only what may be the beginning of a secret."""

    def __init__(self, values: Iterable[str]) -> None:
        self._patterns = _patterns(values)
        self._held = b""
        self._covered = 0  # so many of the held bytes belong to a secret whose stars are out already

    def __repr__(self) -> str:
        return f"Masker({len(self._patterns)} patterns)"

    def feed(self, piece: bytes) -> bytes:
        """What of the stream so far may be shown and was not yet. A piece may end anywhere, within a character too."""
        if not self._patterns:
            return piece
        data = self._held + piece
        return self._shown(data, until=self._undecided_from(data))

    def finish(self) -> bytes:
        """The rest, at the end of the stream."""
        return self._shown(self._held, until=len(self._held))

    def _shown(self, data: bytes, *, until: int) -> bytes:
        shown = []
        at = min(self._covered, until)
        end_of_mask = self._covered
        for start, end in self._found(data):
            if start >= until:
                break
            if start >= end_of_mask:  # else it overlaps the one before: one row of stars for both
                shown += [data[at:start], MASK]
            end_of_mask = max(end_of_mask, end)
            at = min(end_of_mask, until)
        shown.append(data[at:until])
        self._held = data[until:]
        self._covered = max(end_of_mask - until, 0)
        return b"".join(shown)

    def _found(self, data: bytes) -> list[tuple[int, int]]:
        """Where secrets begin and end, overlapping ones too, in order."""
        return sorted(
            (start, start + len(pattern)) for pattern in self._patterns for start in _occurrences(pattern, data)
        )

    def _undecided_from(self, data: bytes) -> int:
        """The first place from which `data` may be the beginning of a secret, for all that is known."""
        return min(_beginning_at_the_end(pattern, data) for pattern in self._patterns)


def _occurrences(pattern: bytes, data: bytes) -> Iterator[int]:
    at = data.find(pattern)
    while at >= 0:
        yield at
        at = data.find(pattern, at + 1)


def _beginning_at_the_end(pattern: bytes, data: bytes) -> int:
    """The smallest place from which `data`, to its end, is a beginning of `pattern` and not all of it."""
    at = data.find(pattern[:1], max(len(data) - len(pattern) + 1, 0))
    while at >= 0 and not pattern.startswith(data[at:]):
        at = data.find(pattern[:1], at + 1)
    return at if at >= 0 else len(data)


def _patterns(values: Iterable[str]) -> list[bytes]:
    texts = {text for value in values if len(value) >= SHORTEST for text in (value, *_lines(value))}
    return sorted({form.encode(errors="surrogatepass") for text in texts for form in _forms(text)})


def _lines(value: str) -> list[str]:
    lines = value.splitlines()
    return [line for line in map(str.strip, lines) if len(line) >= SHORTEST_LINE] if len(lines) > 1 else []


def _forms(text: str) -> Iterator[str]:
    yield text
    encodable = text.encode(errors="replace").decode()
    yield from (quote(encodable), quote(encodable, safe=""), quote_plus(encodable))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield repr(text)[1:-1]
