"""`${…}` in a workflow's text: names of variables, such as `${a}` and `${a.b}`, and expressions of JavaScript.

A name that has a value is looked up here; only what is more than that reaches the engine (`expressions`). As Digdag
has it, the value of `${…}` is always text, `$$` is `$`, `${word:…}` stays as it is, and so does a `${` without its `}`.
Not as Digdag has it: each `${…}` stands alone, so that none sees what another assigned; a `}` in quotes ends nothing; a
dotted name without a value is an error.

`${secret:key}` is a secret of the project, where an operator asks for some (`reveal`), and an error elsewhere. What it
stands in is the author's text alone: a value that holds such a text stays as it is.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from scheduler.errors import HindcastError
from scheduler.execution import expressions
from scheduler.execution.expressions import DoesNotParse, ExpressionFailed, NoSuchName

Lookup = Callable[[str], object]
Reveal = Callable[[str], str]

NAME = re.compile(r"\s*([A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*")
BRACE = re.compile(r"[{}]")
OF_SECRETS = "secret:"
# `${name:…}` belongs to the shell; of one with the name `secret` what begins as those of the shell do.
OPENING = re.compile(r"\$\{(?!(?!secret:[^-=?+\d}])[a-z]+:)")
SECRETS_STAND = (
    "in _env: of sh> and py>, in args: and kwargs: of celery>, and in the settings of http> and mail> that take secrets"
)
# Names without a variable that mean something all the same. Any other is wrong, and no matter for the engine.
JAVASCRIPT = {"Infinity", "Math", "NaN", "Number", "false", "globalThis", "moment", "null", "this", "true", "undefined"}
MOST_CHARACTERS = 1024 * 1024
MOST_ENDS = 20


class TemplateError(HindcastError):
    """A `${…}` that has no value. `reference` is what stands between the braces."""

    def __init__(self, message: str, reference: str) -> None:
        super().__init__(message)
        self.reference = reference


@dataclass(frozen=True)
class Reference:
    """A `${…}` found in a text. `expression` is what stands between the braces, `end` the place after them."""

    expression: str
    end: int


def render(text: str, lookup: Lookup, reveal: Reveal | None = None) -> str:
    """`text` with every `${…}` replaced. `lookup` raises KeyError for a name without a value.

    `reveal` gives the value of a secret; without it, `${secret:…}` is an error. Raises TemplateError naming the
    reference, and what `reveal` raises.
    """
    if "${" not in text:
        return text.replace("$$", "$") if "$$" in text else text
    with expressions.one_budget():
        return "".join(_pieces(text, lookup, reveal))


def render_all(value: object, lookup: Lookup) -> object:
    """`render` for every text inside a JSON value; keys stay as they are."""
    if isinstance(value, str):
        return render(value, lookup)
    with expressions.one_budget():
        if isinstance(value, Mapping):
            return {key: render_all(item, lookup) for key, item in value.items()}
        if isinstance(value, list):
            return [render_all(item, lookup) for item in value]
    return value


def reference_at(text: str, at: int) -> Reference | None:
    """The reference that begins at `at`, if one does and has an end."""
    return next(references_at(text, at), None)


def resolve_at(text: str, at: int, lookup: Lookup, reveal: Reveal | None = None) -> tuple[str, Reference]:
    """The text that stands for the reference at `at`, and the reference. Raises TemplateError.

    It ends where its braces are even; when that is no expression, at the next brace that makes it one.
    """
    found = reference_at(text, at)
    assert found is not None
    if found.expression.startswith(OF_SECRETS):
        return _secret(found.expression, reveal), found
    try:
        return resolve(found.expression, lookup), found
    except _NoExpression as error:
        for longer in islice(references_at(text, at), 1, MOST_ENDS):
            try:
                return resolve(longer.expression, lookup), longer
            except _NoExpression:
                continue
        raise error from None


def resolve(reference: str, lookup: Lookup) -> str:
    """The text that stands for `${reference}`. Raises TemplateError."""
    if not reference:
        return ""
    name = NAME.fullmatch(reference)
    try:
        expressions.spendable()
        return _computed(reference, lookup) if name is None else _named(name[1], reference, lookup)
    except ExpressionFailed as error:
        raise _told(error, reference) from None


def as_text(value: object) -> str:
    """A JSON value as a template shows it: text as it is, null as nothing, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # 1.0 is 1 in JavaScript
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _NoExpression(TemplateError):  # noqa: N818 - named as the fact
    """What stands between the braces does not parse."""


def _secret(reference: str, reveal: Reveal | None) -> str:
    if reveal is None:
        raise TemplateError(f"${{{reference[:100]}}} can stand only {SECRETS_STAND}.", reference)
    return reveal(reference.removeprefix(OF_SECRETS).strip())


def _pieces(text: str, lookup: Lookup, reveal: Reveal | None) -> Iterator[str]:
    at = length = 0
    while (opening := OPENING.search(text, at)) and reference_at(text, opening.start()):
        value, reference = resolve_at(text, opening.start(), lookup, reveal)
        length += len(value)
        if length > MOST_CHARACTERS:
            raise TemplateError(f"The text has more than {MOST_CHARACTERS} characters.", reference.expression)
        yield text[at : opening.start()].replace("$$", "$")
        yield value
        at = reference.end
    unclosed = opening.start() if opening else at  # apart, as the dollar before it is no part of `$$`
    yield text[at:unclosed].replace("$$", "$")
    yield text[unclosed:].replace("$$", "$")


def references_at(text: str, at: int) -> Iterator[Reference]:
    """What may be the reference at `at`: first up to the brace that makes them even, then up to each later one."""
    opening = OPENING.match(text, at)
    depth, even = 0, False
    for brace in BRACE.finditer(text, opening.end()) if opening else ():
        depth += 1 if brace[0] == "{" else -1
        even = even or depth < 0
        if even and brace[0] == "}":
            yield Reference(text[at + 2 : brace.start()], brace.end())


def _named(name: str, reference: str, lookup: Lookup) -> str:
    """A name, or a dotted one. What is none of a variable may still be JavaScript: `text.length`, `a-b`, `Math.PI`."""
    first = name.partition(".")[0]
    try:
        value = lookup(first)
    except KeyError:
        if first not in JAVASCRIPT and "-" not in name:
            raise NoSuchName(name) from None
        return _computed(reference, lookup)
    try:
        for part in name.split(".")[1:]:
            value = _inside(value, part)
        return as_text(value)
    except KeyError:
        return _member(name, reference, lookup)


def _member(name: str, reference: str, lookup: Lookup) -> str:
    """A name that JSON does not have inside a variable, but JavaScript may. Raises NoSuchName."""
    try:
        text = expressions.evaluate(reference, lookup)
    except ExpressionFailed:
        text = None
    if text is None:
        raise NoSuchName(name)
    return text


def _computed(expression: str, lookup: Lookup) -> str:
    return expressions.evaluate(expression, lookup) or ""


def _told(error: ExpressionFailed, reference: str) -> TemplateError:
    if isinstance(error, NoSuchName):
        return TemplateError(error.message, reference)
    kind = _NoExpression if isinstance(error, DoesNotParse) else TemplateError
    shown = reference if len(reference) <= 100 else f"{reference[:100]}…"
    return kind(f"${{{shown}}}: {error.message}", reference)


def _inside(value: object, part: str) -> object:
    if isinstance(value, Mapping):
        return value[part]
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    raise KeyError(part)
