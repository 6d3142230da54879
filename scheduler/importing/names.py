"""Names of workflows for what had none, or one that no file may have."""

import re
import unicodedata
from collections.abc import Collection
from itertools import count

LONGEST = 60
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


def name_from(text: str, *, otherwise: str = "job") -> str:
    """A name in the words of `text`: letters, digits, `_`, `-` and dots; `otherwise` when that leaves nothing."""
    words = _NOT_IN_NAMES.sub("_", unicodedata.normalize("NFC", text))
    name = words[:LONGEST].strip("_.-").removesuffix(".dig")
    return f"{otherwise}_{name}" if name[:1].isdigit() else name or otherwise


def unused(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number behind it when it is among `taken`, where upper and lower case do not count."""
    lowered = {other.casefold() for other in taken}
    numbered = (f"{name}_{number}" for number in count(2))
    return name if name.casefold() not in lowered else next(one for one in numbered if one.casefold() not in lowered)
