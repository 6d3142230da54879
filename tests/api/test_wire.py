"""JSON in and out, without the web."""

import contextlib
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError
from rest_framework.renderers import JSONRenderer

from scheduler.api.wire import parsed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_rendered_is_json_for_the_same_value(value: Any) -> None:
    if value is not None:
        assert json.loads(JSONRenderer().render(value)) == value


@given(JSON)
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    assert parsed(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(ParseError):
        parsed(body)


def test_what_is_rendered_is_ascii_whatever_the_text() -> None:
    assert JSONRenderer().render({"x": "ü\u2028\ud800"}) == b'{"x":"\\u00fc\\u2028\\ud800"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_cannot_write_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        JSONRenderer().render({"x": value})


def test_deep_nesting_is_refused_in_little_memory() -> None:
    body = b'[{"a":' * 160_000
    tracemalloc.start()

    with pytest.raises(ParseError):
        parsed(body)

    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
