"""`${name}` and `${a.b}` in a workflow's text. PURE. Names alone: there is no expression language."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial

from scheduler.errors import HindcastError

Lookup = Callable[[str], object]

REFERENCE = re.compile(r"\$\{([^}]*)\}")
NAME = re.compile(r"\s*([A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*")


class TemplateError(HindcastError):
    """A `${…}` that is no name, or names nothing. `reference` is what stands between the braces."""

    def __init__(self, message: str, reference: str) -> None:
        super().__init__(message)
        self.reference = reference


def render(text: str, lookup: Lookup) -> str:
    """`text` with every `${…}` replaced. `lookup` raises KeyError for a name without a value.

    Raises TemplateError naming the reference.
    """
    return REFERENCE.sub(partial(_replacement, lookup=lookup), text) if "${" in text else text


def render_all(value: object, lookup: Lookup) -> object:
    """`render` for every text inside a JSON value; keys stay as they are."""
    if isinstance(value, str):
        return render(value, lookup)
    if isinstance(value, Mapping):
        return {key: render_all(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [render_all(item, lookup) for item in value]
    return value


def resolve(reference: str, lookup: Lookup) -> str:
    """The text that stands for `${reference}`. Raises TemplateError."""
    name = NAME.fullmatch(reference)
    if name is None:
        raise TemplateError(f"${{{reference[:100]}}} is not the name of a variable.", reference)
    try:
        value = lookup(name[1].partition(".")[0])
        for part in name[1].split(".")[1:]:
            value = _inside(value, part)
    except KeyError:
        raise TemplateError(f"There is no variable {name[1]!r}.", reference) from None
    return as_text(value)


def as_text(value: object) -> str:
    """A JSON value as a template shows it: text as it is, null as nothing, all else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _replacement(match: re.Match[str], lookup: Lookup) -> str:
    return resolve(match[1], lookup)


def _inside(value: object, part: str) -> object:
    if isinstance(value, Mapping):
        return value[part]
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    raise KeyError(part)
