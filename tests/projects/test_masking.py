"""Secrets in logs and errors become stars, however the stream cuts them."""

import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from projects.masking import Masker, mask

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
