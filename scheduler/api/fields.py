"""Fields that take exactly one JSON type. REST framework's own take "2" for a number and 0 for a boolean."""

import re
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from projects.models import NAME_LENGTH

LARGEST_PAGE = 100
LARGEST_COUNT = 1000
BIGGEST_ID = 2**63 - 1
DIGITS = re.compile(r"[0-9]{1,19}")
# RFC 3339, and ISO 8601's seconds left out, comma, and offset without a colon.
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)(?:[.,](\d{1,12}))?(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)
YES_OR_NO = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


class InputField(serializers.Field[Any, Any, Any, Any]):
    """A value that only comes in."""

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "string", "minLength": 1, "maxLength": NAME_LENGTH})
class Name(InputField):
    default_error_messages = {"invalid": "Give text."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "string", "format": "date-time"})
class Instant(InputField):
    default_error_messages = {"invalid": "Give a time with its offset from UTC, such as 2023-08-18T06:52:33Z."}
    offset_needed = True

    def to_internal_value(self, data: Any) -> datetime:
        match = TIME.fullmatch(data) if isinstance(data, str) else None
        if match is None or (self.offset_needed and match[4] is None):
            self.fail("invalid")
        day, clock, fraction, offset = match.groups(default="")
        try:
            return datetime.fromisoformat(f"{day}T{whole(clock)}.{fraction[:6]:0<6}{offset.upper()}")
        except ValueError:  # the 30th of February, the year 0, an offset of a day
            self.fail("invalid")


@extend_schema_field(
    {"oneOf": [{"type": "string", "pattern": "^[0-9]{1,19}$"}, {"type": "integer", "minimum": 0}], "example": "123456"}
)
class Id(InputField):
    """Text or a number: clients send both."""

    default_error_messages = {"invalid": "Give an id: digits alone."}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, str | int) or not DIGITS.fullmatch(str(data)):
            self.fail("invalid")
        return min(int(data), BIGGEST_ID)


@extend_schema_field({"type": "object", "additionalProperties": {}, "example": {"region": "eu"}})
class Params(InputField):
    default_error_messages = {"invalid": "Give an object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "boolean"})
class Flag(InputField):
    default_error_messages = {"invalid": "Give true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "string", "example": "2023-08-18 06:52:33"})
class LocalOrInstant(Instant):
    """Without an offset, a local time, which comes without a zone."""

    default_error_messages = {"invalid": "Give a time, such as 2023-08-18T06:52:33Z or 2023-08-18 06:52:33."}
    offset_needed = False


@extend_schema_field({"type": "integer", "minimum": 1})
class Count(InputField):
    default_error_messages = {"invalid": "Give a whole number."}

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": BIGGEST_ID})
class QueryId(InputField):
    default_error_messages = {"invalid": "Give an id: digits alone."}

    def to_internal_value(self, data: Any) -> int:
        if not DIGITS.fullmatch(data) or int(data) > BIGGEST_ID:
            self.fail("invalid")
        return int(data)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": LARGEST_PAGE})
class QuerySize(InputField):
    default_error_messages = {"invalid": f"Give a whole number from 1 to {LARGEST_PAGE}."}

    def to_internal_value(self, data: Any) -> int:
        if not DIGITS.fullmatch(data) or not 1 <= int(data) <= LARGEST_PAGE:
            self.fail("invalid")
        return int(data)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": LARGEST_COUNT, "default": LARGEST_PAGE})
class QueryCount(InputField):
    """Digdag takes any number; clients that want all at once ask for many."""

    default_error_messages = {"invalid": f"Give a whole number from 1 to {LARGEST_COUNT}."}

    def to_internal_value(self, data: Any) -> int:
        if not DIGITS.fullmatch(data) or not 1 <= int(data) <= LARGEST_COUNT:
            self.fail("invalid")
        return int(data)


@extend_schema_field({"type": "boolean"})
class QueryFlag(InputField):
    default_error_messages = {"invalid": "Give true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if data not in YES_OR_NO:
            self.fail("invalid")
        return YES_OR_NO[data]


@extend_schema_field({"type": "string"})
class QueryName(InputField):
    default_error_messages = {"invalid": "Give a name."}

    def to_internal_value(self, data: Any) -> str:
        if "\0" in data:  # PostgreSQL has no such text
            self.fail("invalid")
        return str(data)


@extend_schema_field({"type": "string"})
class Text(InputField):
    default_error_messages = {"invalid": "Give text."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class QueryChoice(serializers.ChoiceField):
    def __init__(self, choices: list[str], **more: Any) -> None:
        super().__init__(choices=choices, error_messages={"invalid_choice": f"Give {' or '.join(choices)}."}, **more)


def whole(clock: str) -> str:
    return clock if len(clock) == len("23:59:59") else f"{clock}:00"
