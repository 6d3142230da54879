"""JSON as it comes in, strictly, and the one form in which everything is answered."""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The body is larger than the server reads."


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it, in UTF-8: no NaN, and no key in an object with two values."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"The body has more than {limit} bytes.")
        return parsed(body)


class OneForm(DefaultContentNegotiation):
    """Every view answers in its one form, whatever `Accept` says: a refusal, too, can be read."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


def parsed(body: bytes) -> Any:
    """The value that `body` is. Raises ParseError saying what is wrong with it."""
    try:
        return DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise ParseError("The body is nested too deep.") from None
    except ValueError:
        raise ParseError("The body has a number in it that is too long.") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys have one value each; which of two would count is anybody's guess.

    A key that says the same twice is no guess: Digdag's own client writes `mode` so when it resumes an attempt
    (jackson-databind issue 2022).
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and json.dumps(found[key]) != json.dumps(value):
            raise ParseError("The body has a key twice in one object, with different values.")
        found[key] = value
    return found


def no_constant(name: str) -> NoReturn:
    raise ParseError(f"The body is not JSON: {name} is no value of it.")


DECODER = json.JSONDecoder(object_pairs_hook=once, parse_constant=no_constant)
