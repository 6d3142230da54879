"""What is said of `http>` when a project is pushed."""

import pytest

from tests.dig.language import refusals


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("metod: GET", "metod: is no setting of http>; did you mean method:?"),
        ("method: FETCH", "method: is GET, HEAD, OPTIONS, TRACE, POST, PUT, PATCH or DELETE, not 'FETCH'."),
        ("method: [GET]", "method: is GET, HEAD, OPTIONS, TRACE, POST, PUT, PATCH or DELETE, not a list."),
        (
            "headers: {Accept: x}",
            "headers: is a list of headers, such as '- Accept: text/csv' in the next line, not a map",
        ),
        ("headers: [x]", "headers: has one header in each entry, such as '- Accept: text/csv', not 'x'."),
        ("headers: [{A: 1, B: 2}]", "headers: has one header in each entry"),
        ("headers: [{'A b': 1}]", "headers: has 'A b', which is no name of a header."),
        ("headers: [{Host: x}]", "headers: has Host, which the URL and the content decide."),
        ("headers: [{A: [x]}]", "headers: A: is a text, not a list."),
        ("content_format: xml", "content_format: is text, json or form, not 'xml'."),
        ("content: {a: b}\n  content_format: text", "content_format: text takes a text as content:, not a mapping."),
        ("content: x\n  content_format: form", "content_format: form takes a mapping of names to texts as content:"),
        ("query: [x]", "query: is a mapping or a text, not a list."),
        ("query: {a: {b: c}}", "query: has 'a', whose value is neither a text nor a list of texts."),
        ("timeout: 0", "timeout: is a number of seconds above 0 and up to 3600, not '0'."),
        ("timeout: soon", "timeout: is a number of seconds above 0 and up to 3600, not 'soon'."),
        ("retry: 3", "retry: is true or false, not '3'."),
        ("store_content: yes", "store_content: is true or false, not 'yes'."),
        ("follow_redirects: {}", "follow_redirects: is true or false, not a mapping."),
    ],
)
def test_wrong_settings_are_refused_when_they_are_pushed(said: str, problem: str) -> None:
    (refusal,) = refusals(f"+a:\n  http>: https://example.com\n  {said}")

    assert problem in refusal


@pytest.mark.parametrize("url", ["ftp://example.com/x", "example.com", "https://", "https://ann:pw@example.com"])
def test_a_url_that_is_none_is_refused_when_it_is_pushed(url: str) -> None:
    (refusal,) = refusals(f"+a: {{http>: '{url}'}}")

    assert "http>: " in refusal


def test_what_only_the_run_can_tell_is_left_to_it() -> None:
    settings = "method: '${m}', timeout: '${t}', headers: [{X: '${h}'}], retry: '${r}', content: {a: '${c}'}"

    assert refusals(f"+a: {{http>: '${{u}}', {settings}}}") == []
