"""What a document may say to `http>`, and what is wrong with it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.execution.operators import said
from scheduler.execution.operators.said import Problem, Said, shown
from scheduler.execution.outside.places import Refused, url_of
from scheduler.execution.template import as_text

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
METHODS = (*SAFE, "POST", "PUT", "PATCH", "DELETE")
FORMATS = ("text", "json", "form")
LONGEST_TIMEOUT_SECONDS = 3600.0
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The URL, the content and the connection decide them.
NOT_YOURS = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}


def _headers(value: Any) -> Problem:
    if not isinstance(value, list):
        return f"is a list of headers, such as '- Accept: text/csv' in the next line, not {shown(value)}."
    return next(filter(None, map(_header, value)), "")


def _header(entry: Any) -> Problem:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        return f"has one header in each entry, such as '- Accept: text/csv', not {shown(entry)}."
    [(name, value)] = entry.items()
    if not NAME.fullmatch(name):
        return f"has {name[:50]!r}, which is no name of a header."
    if name.lower() in NOT_YOURS or name.lower().startswith("proxy-"):
        return f"has {name}, which the URL and the content decide."
    problem = said.one_line(value)
    return problem and f"{name}: {problem}"


def _query(value: Any) -> Problem:
    if isinstance(value, Mapping):
        wrong = next((key for key, item in value.items() if not _is_plain(item)), None)
        return "" if wrong is None else f"has {wrong[:50]!r}, whose value is neither a text nor a list of texts."
    return "" if said.is_scalar(value) else f"is a mapping or a text, not {shown(value)}."


def _is_plain(value: Any) -> bool:
    return all(map(said.is_scalar, value)) if isinstance(value, list) else said.is_scalar(value)


SETTINGS = Said(
    "http",
    {
        "method": said.one_of(*METHODS),
        "content": said.anything,
        "content_format": said.one_of(*FORMATS),
        "content_type": said.one_line,
        "headers": _headers,
        "query": _query,
        "timeout": said.number(0, LONGEST_TIMEOUT_SECONDS, "a number of seconds"),
        "retry": said.flag,
        "follow_redirects": said.flag,
        "store_content": said.flag,
    },
)


def check(config: Mapping[str, Any]) -> Iterator[str]:
    yield from SETTINGS.problems(config)
    command = config.get("http>")
    if command is not None and not said.has_template(command) and (problem := _url_problem(command)):
        yield f"http>: {problem}"
    if config.get("content") is not None and (problem := format_problem(config["content"], _format_said(config))):
        yield problem


def _url_problem(command: Any) -> Problem:
    try:
        url_of(as_text(command))
    except Refused as refusal:
        return str(refusal)
    return ""


def _format_said(config: Mapping[str, Any]) -> str:
    """The format that a document asks for; "" when it does not, or in a way that only the run can tell."""
    said_format = config.get("content_format")
    return said_format.lower() if isinstance(said_format, str) and said_format.lower() in FORMATS else ""


def format_problem(content: Any, form: str) -> Problem:
    if form == "text" and not said.is_scalar(content):
        return f"content_format: text takes a text as content:, not {shown(content)}."
    if form == "form" and not (isinstance(content, Mapping) and all(map(_is_plain, content.values()))):
        return f"content_format: form takes a mapping of names to texts as content:, not {shown(content)}."
    return ""
