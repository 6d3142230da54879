"""The text of a file, from its bytes."""

import re
from dataclasses import dataclass
from functools import cached_property

from projects.dig.problems import Place, short

MOST_BYTES = 2 * 1024 * 1024  # a file, as in Digdag

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
# U+0085, U+2028 and U+2029 would be line breaks to YAML and to no editor; U+FEFF begins a file that was pasted in.
_FORBIDDEN = re.compile(r"[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LONGEST_LINE = 100


class Unreadable(Exception):  # noqa: N818 - named as the fact
    """The file cannot be read at all, or no further."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


@dataclass(frozen=True)
class Source:
    """A file's text, without a byte order mark."""

    file: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return _LINE_BREAK.split(self.text)

    def line(self, number: int) -> str:
        """A line, fit to be shown: without the blanks around it, and not too long."""
        return short(self.lines[number - 1].strip(), _LONGEST_LINE) if 0 < number <= len(self.lines) else ""


def decode(file: str, content: bytes) -> Source:
    """The text of a UTF-8 file, with or without a byte order mark. Raises Unreadable."""
    if len(content) > MOST_BYTES:
        raise Unreadable(Place(file), f"The file has {len(content):,} bytes; {MOST_BYTES:,} is the most.")
    if content.startswith(_UTF_16):
        raise Unreadable(Place(file), "The file is UTF-16; save it as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from None
    if found := _FORBIDDEN.search(text):
        raise _forbidden(file, text, found)
    return Source(file, text)


def _not_utf8(file: str, error: UnicodeDecodeError) -> Unreadable:
    place = _place(file, error.object[: error.start].decode("utf-8-sig", "replace"))
    return Unreadable(place, f"The byte 0x{error.object[error.start]:02X} is not UTF-8; save the file as UTF-8.")


def _forbidden(file: str, text: str, found: re.Match[str]) -> Unreadable:
    place = _place(file, text[: found.start()])
    if found[0] == "\0":
        return Unreadable(place, "There is a NUL character; if the file is UTF-16, save it as UTF-8.")
    return Unreadable(place, f"There is an invisible character here, U+{ord(found[0]):04X}; remove it.")


def _place(file: str, before: str) -> Place:
    """The place after the text `before`."""
    lines = _LINE_BREAK.split(before)
    return Place(file, len(lines), len(lines[-1]) + 1)
