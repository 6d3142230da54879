"""YAML as it is read here: quotes and blocks, keys, aliases, merges, and where a mistake is said to be."""

import pytest

from tests.dig.language import document, refusals

TASK = "\n+a: {echo>: 1}"


def test_tasks_keep_the_order_of_the_file() -> None:
    read = document("+z: {echo>: 1}\n+a: {echo>: 1}\n+m: {echo>: 1}\n_export: {x: 1}\ntimezone: UTC")

    assert list(read) == ["+z", "+a", "+m", "_export", "timezone"]


def test_blocks_and_folded_texts_are_read() -> None:
    exported = document("_export:\n  a: |\n    one\n    two\n  b: >-\n    one\n    two\n  c: one\n    two" + TASK)[
        "_export"
    ]

    assert exported == {"a": "one\ntwo\n", "b": "one two", "c": "one two"}


def test_a_byte_order_mark_and_windows_line_ends_are_taken() -> None:
    read = document(b"\xef\xbb\xbf+a:\r\n  echo>: 1\r\n+b:\r\n  echo>: 2\r\n")

    assert read == {"+a": {"echo>": 1}, "+b": {"echo>": 2}}


def test_lines_are_counted_as_editors_count_them() -> None:
    assert refusals("+a:\r\n  echo>: 1\r\n\r\n+b:\r\n  eco>: 2\r\n") == [
        "w.dig:5:3: There is no operator eco>; did you mean echo>?"
    ]


def test_columns_are_counted_in_characters() -> None:
    assert refusals("_export: {é: 𝄞, a: 1, a: 2}" + TASK) == ["w.dig:1:23: The key a: is here twice, first in line 1."]


def test_one_document_may_be_marked() -> None:
    assert document("%YAML 1.1\n---\n+a: {echo>: 1}\n...\n") == {"+a": {"echo>": 1}}


def test_every_double_key_is_told_with_both_lines() -> None:
    assert refusals("+a: {echo>: 1}\n_export:\n  x: 1\n  x: 2\n  'x': 3\n+a: {echo>: 2}") == [
        "w.dig:4:3: The key x: is here twice, first in line 3.",
        "w.dig:5:3: The key x: is here twice, first in line 3.",
        "w.dig:6:1: The key +a: is here twice, first in line 1.",
    ]


def test_an_alias_stands_for_the_value_of_its_anchor() -> None:
    read = document("_export:\n  &name a: &list [1, &x 2]\n  b: *list\n  c: [*x, *name]" + TASK)

    assert read["_export"] == {"a": [1, 2], "b": [1, 2], "c": [2, "a"]}


def test_the_later_of_two_anchors_of_a_name_counts() -> None:
    assert document("_export: {a: &x 1, b: &x 2, c: *x}" + TASK)["_export"]["c"] == 2


@pytest.mark.parametrize("value", ["&x [*x]", "&x {a: *x}", "*x"])
def test_an_alias_of_nothing_or_of_itself_is_refused(value: str) -> None:
    (refusal,) = refusals(f"_export: {{a: {value}}}" + TASK)

    assert "There is no &x whose value ends before this" in refusal


def test_merge_keys_give_what_is_not_given_itself() -> None:
    read = document("_export:\n  a: &a {x: 1, y: 1}\n  b: &b {y: 2, z: 2}\n  c: {z: 3, <<: [*a, *b]}" + TASK)

    assert read["_export"]["c"] == {"x": 1, "y": 1, "z": 3}


def test_a_merge_key_in_quotes_is_a_key() -> None:
    assert document("_export: {'<<': 1}" + TASK)["_export"] == {"<<": 1}


def test_a_merge_of_anything_but_mappings_is_refused() -> None:
    assert refusals("_export: {<<: [1, {a: 1}]}" + TASK) == [
        "w.dig:1:16: <<: takes a mapping or a list of mappings, not 1."
    ]


@pytest.mark.parametrize("key", ["[a]", "{a: b}", "? [a]\n"])
def test_a_key_is_a_text(key: str) -> None:
    (refusal,) = refusals(f"{key}: 1")

    assert "A key is a text, not a list or a mapping" in refusal


def test_a_key_is_not_an_alias() -> None:
    assert refusals("a: &x 1\n*x : 2") == ["w.dig:2:1: A key is a text, not an alias."]


def test_a_missing_key_is_told() -> None:
    assert refusals("? \n: x" + TASK) == ["w.dig:1:2: There is no key before the ':'."]


def test_what_a_key_holds_does_not_disturb_the_message() -> None:
    assert refusals('+a: {echo>: 1, "_b\\n\\e[31m\\u202Ed": 1}') == [
        "w.dig:1:16: There is no directive _b\\n\\x1b[31m\\u202ed:; "
        "here are _background:, _check:, _env:, _error:, _export: and _retry:."
    ]


def test_a_long_key_is_cut_in_the_message() -> None:
    assert refusals(f"{'x' * 200}: 1" + TASK)[0].startswith(f"w.dig:1:1: There is no key {'x' * 39}…: at the top")


@pytest.mark.parametrize("control", ["\x00", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe"])
def test_control_characters_and_their_kind_are_refused(control: str) -> None:
    (refusal,) = refusals(f"+a: {{echo>: 1}}\n+b: {{echo>: x{control}y}}")

    assert refusal.startswith("w.dig:2:14: There is a")


def test_other_escapes_are_read() -> None:
    assert document('+a: {echo>: "\\e[1mA\\t\\u00e9\\U0001F600"}')["+a"]["echo>"] == "\x1b[1mA\té😀"
