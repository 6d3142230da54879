"""What a text without quotes means.

A number is a number only where writing it down again gives the same text: `5`, `-3` and `0.5` are; `007`, `+1`, `-0`,
`1.10`, `1e3`, `1_000`, `07:00:00`, `2026-01-31` and `.inf` stay texts, so that `${x}` is what was written.
Digdag reads the octal number 7 of `007`, 1000 of `1_000` and 1.1 of `1.10`. As there, only `true` and `false` are
booleans: `yes`, `on` and their kind are text.
"""

import re

_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
# What fits 64 bits whatever its digits. Longer ones are text, which no reader of JSON rounds.
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")


def value_of(text: str) -> str | int | float | bool | None:
    """The value of a plain (unquoted) scalar."""
    if text in _NOTHING:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and repr(float(text)) == text != "-0.0":
        return float(text)
    return text
