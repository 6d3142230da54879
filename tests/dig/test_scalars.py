"""What a text without quotes means."""

import json

import pytest

from projects.dig.scalars import value_of
from tests.dig.language import document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("5", 5),
        ("-3", -3),
        ("999999999999999999", 999999999999999999),
        ("0.5", 0.5),
        ("-2.25", -2.25),
        ("1.0", 1.0),
    ],
)
def test_a_number_that_is_written_as_it_is_read_is_a_number(text: str, value: float) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("007", "0755", "+1", "-0", "1_000", "2026_01_31", "0x1F", "0b11", "0o7"),
        *("1.10", "0.50", "1.", ".5", "1e3", "-0.0", "1.5e3"),
        *("07:00:00", "30:00", "12:30", "190:20:30", "1:30.5"),
        *("2026-01-31", "2026-01-31 00:00:00", "2026-01-31T00:00:00Z"),
        *(".inf", "-.inf", ".INF", ".nan", ".NaN", "inf", "nan", "Infinity", "NaN"),
        *("yes", "no", "on", "off", "y", "n", "YES", "TRUE", "FALSE", "=", "<<"),
        *("9223372036854775808", "1234567890123456789", "9" * 100_000, "0." + "9" * 100_000),
        *("１２", "٣", "1 2", "1\n"),
    ],
    ids=lambda text: text[:20],
)
def test_everything_that_a_reader_could_change_stays_text(text: str) -> None:
    assert value_of(text) == text


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False), ("False", False)])
def test_true_and_false_are_the_booleans(text: str, value: bool) -> None:
    assert value_of(text) is value


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_nothing(text: str) -> None:
    assert value_of(text) is None


def test_a_text_in_quotes_stays_text() -> None:
    values = document("_export:\n  a: '5'\n  b: \"true\"\n  c: ''\n  e: |-\n    8\n+a: {echo>: 1}")["_export"]

    assert values == {"a": "5", "b": "true", "c": "", "e": "8"}


def test_keys_are_texts_as_they_are_written() -> None:
    exported = document("_export: {1: a, true: b, null: c, 07:00: d, '': e, 1.50: f}\n+a: {echo>: 1}")["_export"]

    assert list(exported) == ["1", "true", "null", "07:00", "", "1.50"]


def test_a_document_is_json() -> None:
    read = document("_export: {a: [1, 2.5, true, ~, x, {b: {}}], c: 1e999}\n+a: {echo>: 1}")

    assert json.loads(json.dumps(read, allow_nan=False)) == read
