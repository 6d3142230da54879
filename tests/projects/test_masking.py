"""Secrets in logs and errors become stars, however the stream cuts them."""

import base64
import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from projects.masking import Known, Masker, mask, mask_all
from projects.secrets import SecretValue

SECRET = "s3cret/ü&\"x'\n-tail"


def streamed(data: bytes, values: list[str], cuts: list[int]) -> bytes:
    masker = Masker(values)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return b"".join(masker.feed(piece) for piece in pieces) + masker.finish()


def test_a_secret_becomes_stars_wherever_it_stands() -> None:
    assert mask("hunter22", ["hunter22"]) == "***"
    assert mask("a hunter22, hunter22hunter22!", ["hunter22"]) == "a ***, ******!"
    assert mask("nothing here", ["hunter22"]) == "nothing here"
    assert mask("", ["hunter22"]) == ""
    assert mask("anything", []) == "anything"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        f"https://u:{quote(SECRET)}@h/",
        f"?p={quote(SECRET, safe='')}",
        f"?p={quote_plus(SECRET)}",
        json.dumps({"p": SECRET}),
        json.dumps({"p": SECRET}, ensure_ascii=False),
        f"ValueError({SECRET!r})",
    ],
)
def test_a_secret_is_found_in_a_url_in_json_and_in_a_traceback(form: str) -> None:
    masked = mask(form, [SECRET])

    assert "***" in masked
    assert not [part for part in ("s3cret", "tail") if part in masked]


def test_each_longer_line_of_a_secret_is_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nab\n"

    assert mask("  > MIIEvQIBADANBg <\r\n ab", [key]) == "  > *** <\r\n ab"


def test_very_short_values_are_left() -> None:
    assert mask("abc abcd", ["abc", "", "b"]) == "abc abcd"
    assert mask("abc abcd", ["abcd"]) == "abc ***"


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    assert mask("xxabcdyy", ["xxab", "abcd"]) == "***yy"
    assert mask("abcdef abcd", ["abcd", "abcdef"]) == "*** ***"
    assert mask("aaaaaaa", ["aaaa"]) == "***"


def test_a_secret_in_two_pieces_of_a_stream_is_found() -> None:
    masker = Masker(["hunter22"])

    shown = [masker.feed(b"the pass is hun"), masker.feed(b"ter22, or hunt"), masker.feed(b"ing"), masker.finish()]

    assert shown == [b"the pass is ", b"***, or ", b"hunting", b""]


def test_only_what_may_be_a_secret_is_held_back() -> None:
    masker = Masker(["hunter22"])

    assert masker.feed(b"a line\n") == b"a line\n"
    assert masker.feed(b"hunter2") == b""
    assert masker.feed(b"3\n") == b"hunter23\n"
    assert masker.feed(b"hunt") + masker.finish() == b"hunt"


def test_what_is_held_back_is_bounded_by_the_longest_secret() -> None:
    masker = Masker(["a" * 1000, "aaaa"])

    shown = b"".join(masker.feed(b"a" * 777) for _ in range(200))

    assert shown == b"***"
    assert len(masker._held) < 1000
    assert masker.finish() == b""


def test_a_masker_shows_no_secret_of_its_own() -> None:
    assert "hunter22" not in repr(Masker(["hunter22"]))


alphabet = st.text("abü", max_size=40)


@examples(deadline=None, derandomize=True, max_examples=500)
@given(
    alphabet, st.lists(st.text("abü", min_size=4, max_size=7), max_size=4), st.lists(st.integers(0, 200), max_size=8)
)
def test_a_stream_shows_the_same_wherever_it_is_cut(text: str, values: list[str], cuts: list[int]) -> None:
    assert streamed(text.encode(), values, cuts) == mask(text, values).encode()


@examples(deadline=None, derandomize=True, max_examples=500)
@given(
    alphabet, st.lists(st.text("abü", min_size=4, max_size=7), max_size=4), st.lists(st.integers(0, 200), max_size=8)
)
def test_nothing_of_a_secret_is_left_and_nothing_else_is_lost(text: str, values: list[str], cuts: list[int]) -> None:
    masked = streamed(text.encode(), values, cuts).decode()

    covered = [
        any(text.startswith(value, start) for value in values for start in starts(i, value)) for i in range(len(text))
    ]
    kept = "".join(letter for letter, inside in zip(text, covered, strict=True) if not inside)
    assert masked.replace("***", "") == kept


def starts(position: int, value: str) -> range:
    return range(max(position - len(value) + 1, 0), position + 1)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_a_secret_inside_base64_is_found(before: str, after: str) -> None:
    text = base64.b64encode(f"{before}{SECRET}{after}".encode()).decode()

    masked = mask(f"Basic {text} end", [SECRET])

    assert masked.startswith("Basic ")
    assert masked.endswith(" end")
    assert len(masked.replace("***", "").replace("Basic ", "").replace(" end", "")) <= len(before) * 4 / 3 + 4 + 8
    assert "***" in masked


def test_base64_of_a_short_value_is_left() -> None:
    assert mask(base64.b64encode(b"hunter2").decode(), ["hunter2"]) == "aHVudGVyMg=="


def test_a_secret_that_becomes_known_in_the_middle_of_a_stream_is_masked_from_then_on() -> None:
    known = Known()
    masker = Masker(known)

    shown = [masker.feed(b"hunter22 hunt")]
    known.add(["hunter22"])
    shown += [masker.feed(b"er22 hunter22 hunt"), masker.feed(b"er22"), masker.finish()]

    assert shown == [b"hunter22 hunt", b"er22 *** ", b"***", b""]


def test_a_revealed_value_is_one_like_any_other() -> None:
    known = Known([SecretValue("hunter22")])

    assert mask("* ** *** hunter22", known) == "* ** *** ***"


def test_texts_inside_json_are_masked_and_numbers_that_are_a_secret() -> None:
    value = {"a": ["x hunter22", 4711, 47110, 1.5, None, True], "hunter22": {"b": "y"}}

    assert mask_all(value, Known(["hunter22", "4711"])) == {
        "a": ["x ***", "***", "***", 1.5, None, True],
        "***": {"b": "y"},
    }
    assert mask_all(value, Known()) is value
