"""Names of workflows for what had none, or one that no file may have."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import count

LONGEST = 60
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


def name_from(text: str, *, otherwise: str = "job") -> str:
    """A name in the words of `text`: letters, digits, `_`, `-` and dots; `otherwise` when that leaves nothing."""
    words = _NOT_IN_NAMES.sub("_", unicodedata.normalize("NFC", text))
    name = words[:LONGEST].strip("_.-").removesuffix(".dig")
    return f"{otherwise}_{name}" if name[:1].isdigit() else name or otherwise


class Names:
    """Names that are taken; upper and lower case do not count."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}
        self._numbers: dict[str, int] = {}

    def take(self, name: str) -> str:
        """`name`, or with a number behind it where it is taken; it is taken from then on."""
        numbers = count(self._numbers.get(name, 2))
        found = name
        while found.casefold() in self._taken:
            number = next(numbers)
            found, self._numbers[name] = f"{name}_{number}", number + 1
        self._taken.add(found.casefold())
        return found
