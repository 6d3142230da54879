"""PURE: secrets in what is shown become `***`, also when a secret comes in two pieces of a stream.

Masked are the values as they are, and as they look in a URL, in JSON and in a Python traceback; of a value with
several lines, each line of at least eight characters, too. Values of fewer than four characters are not masked: they
would be found everywhere, and what is left between the stars would give them away. Base64 of a value of at least eight
bytes is found, alone and inside that of a longer text. A value that a program changes in another way (reversed, letter
by letter) is not recognised.
"""

import json
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

MASK = b"***"
SHORTEST = 4
SHORTEST_LINE = 8
SHORTEST_BASE64 = 8


class Known:
    """Secrets that are to be masked; there may come more. Any number of streams may share it, each in its thread."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self.patterns: tuple[bytes, ...] = ()
        self.add(values)

    def __repr__(self) -> str:
        return f"Known({len(self.patterns)} patterns)"

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def add(self, values: Iterable[str]) -> None:
        with self._lock:
            new = frozenset(map(str, values)) - self._values  # plain ones: a secret's own repr is stars
            if new:
                self._values |= new
                self.patterns = tuple(sorted({*self.patterns, *_patterns(new)}))


def mask(text: str, values: Iterable[str] | Known) -> str:
    """`text` with every one of `values` in it replaced by `***`."""
    masker = Masker(values)
    return (masker.feed(text.encode(errors="surrogatepass")) + masker.finish()).decode(errors="surrogatepass")


def mask_all(value: Any, known: Known) -> Any:
    """`mask` for every text in a JSON value, keys too. `value` itself when nothing is known."""
    if not known:
        return value
    if isinstance(value, str):
        return mask(value, known)
    if isinstance(value, dict):
        return {mask(str(key), known): mask_all(item, known) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item, known) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value if mask(str(value), known) == str(value) else MASK.decode()  # a PIN
    return value


class Masker:
    """A stream of UTF-8 bytes, masked. It holds back only what may be the beginning of a secret.

    What becomes `Known` meanwhile is masked from then on.
    """

    def __init__(self, values: Iterable[str] | Known) -> None:
        self._known = values if isinstance(values, Known) else Known(values)
        self._held = b""
        self._covered = 0  # so many of the held bytes belong to a secret whose stars are out already

    def __repr__(self) -> str:
        return f"Masker({len(self._known.patterns)} patterns)"

    def feed(self, piece: bytes) -> bytes:
        """What of the stream so far may be shown and was not yet. A piece may end anywhere, within a character too."""
        patterns = self._known.patterns
        if not patterns:
            return piece
        data = self._held + piece
        return self._shown(data, patterns, until=_undecided_from(data, patterns))

    def finish(self) -> bytes:
        """The rest, at the end of the stream."""
        return self._shown(self._held, self._known.patterns, until=len(self._held))

    def _shown(self, data: bytes, patterns: Iterable[bytes], *, until: int) -> bytes:
        shown = []
        at = min(self._covered, until)
        end_of_mask = self._covered
        for start, end in _found(data, patterns):
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


def _found(data: bytes, patterns: Iterable[bytes]) -> list[tuple[int, int]]:
    """Where secrets begin and end, overlapping ones too, in order."""
    return sorted((start, start + len(pattern)) for pattern in patterns for start in _occurrences(pattern, data))


def _undecided_from(data: bytes, patterns: Iterable[bytes]) -> int:
    """The first place from which `data` may be the beginning of a secret, for all that is known."""
    return min(_beginning_at_the_end(pattern, data) for pattern in patterns)


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


def _patterns(values: Collection[str]) -> list[bytes]:
    texts = {text for value in values if len(value) >= SHORTEST for text in (value, *_lines(value))}
    forms = {form.encode(errors="surrogatepass") for text in texts for form in _forms(text)}
    return sorted(forms.union(*map(_base64, values)))


def _lines(value: str) -> list[str]:
    lines = value.splitlines()
    return [line for line in map(str.strip, lines) if len(line) >= SHORTEST_LINE] if len(lines) > 1 else []


def _forms(text: str) -> Iterator[str]:
    yield text
    encodable = text.encode(errors="replace").decode()
    yield from (quote(encodable), quote(encodable, safe=""), quote_plus(encodable))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield repr(text)[1:-1]


def _base64(value: str) -> Iterator[bytes]:
    """What is sure to stand in the base64 of any text that `value` is a part of, by where it begins there."""
    data = value.encode(errors="surrogatepass")
    if len(data) < SHORTEST_BASE64:
        return
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(bytes(before) + data).rstrip(b"=")
            last = (before + len(data)) * 8 // 6  # the one after it has bits of what follows
            yield whole[(before * 8 + 5) // 6 : last]
