"""What a document may say to `mail>`, and what is wrong with it."""

import re
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from scheduler.execution.operators import said
from scheduler.execution.operators.base import TaskFailed
from scheduler.execution.operators.said import Problem, Said, shown
from scheduler.execution.operators.wait import duration
from scheduler.execution.outside.places import Refused, host_of
from scheduler.execution.template import as_text

MOST_RECIPIENTS = 100
MOST_FILES = 50
TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)
FILE_KEYS = {"path", "filename", "content_type"}


def _addresses(value: Any) -> Problem:
    entries = value if isinstance(value, list) else [value]
    if not entries or len(entries) > MOST_RECIPIENTS:
        return f"has {len(entries)} addresses; 1 to {MOST_RECIPIENTS} are possible."
    return next(filter(None, map(address, entries)), "")


def address(value: Any) -> Problem:
    """`ann@example.com` or `Ann <ann@example.com>`, and one alone."""
    if problem := said.one_line(value):
        return problem
    text = str(value).strip()
    name, plain = parseaddr(text)
    try:
        validate_email(plain)
        whole = text == plain or (text.endswith(f"<{plain}>") and (bool(name) or text.startswith("<")))
        plain.partition("@")[0].encode("ascii")
    except (ValidationError, UnicodeError):
        whole = False
    return "" if whole else f"has {shown(value)}, which is no address, such as ann@example.com."


def _attach_files(value: Any) -> Problem:
    if not isinstance(value, list) or len(value) > MOST_FILES:
        return (
            f"is a list of up to {MOST_FILES} files, such as '- path: data.csv' in the next line, not {shown(value)}."
        )
    return next(filter(None, map(_attached, value)), "")


def _attached(entry: Any) -> Problem:
    if not isinstance(entry, Mapping) or "path" not in entry or not set(entry) <= FILE_KEYS:
        return "has a path: in each entry, and perhaps a filename: and a content_type:, and nothing else."
    for key, value in entry.items():
        if problem := said.one_line(value):
            return f"{key}: {problem}"
    if "/" in str(entry.get("filename", "")):
        return "filename: has a slash in it."
    if not TYPE.fullmatch(str(entry.get("content_type", "text/plain"))):
        return f"content_type: is a type such as text/csv, not {shown(entry['content_type'])}."
    return ""


def _host(value: Any) -> Problem:
    try:
        host_of(as_text(value))
    except Refused as refusal:
        return str(refusal)
    return ""


def _port(value: Any) -> Problem:
    fits = not isinstance(value, bool) and str(value).isascii() and str(value).isdecimal() and 0 < int(value) < 65536
    return "" if fits else f"is a number from 1 to 65535, not {shown(value)}."


def _duration(value: Any) -> Problem:
    try:
        fits = 0 < duration(as_text(value)).total_seconds() <= 600
    except TaskFailed:
        fits = False
    return "" if fits else f"is a duration of up to 10 minutes, such as 30s, not {shown(value)}."


def _password(value: Any) -> Problem:
    return "belongs into the secret mail.password, not into a file of the project."


SERVER = {
    "host": _host,
    "port": _port,
    "username": said.one_line,
    "tls": said.flag,
    "ssl": said.flag,
}
SETTINGS = Said(
    "mail",
    {
        "subject": said.one_line,
        "from": address,
        "to": _addresses,
        "cc": _addresses,
        "bcc": _addresses,
        "html": said.flag,
        "attach_files": _attach_files,
        "connect_timeout": _duration,
        "socket_timeout": _duration,
        "debug": said.flag,
        "password": _password,
        **SERVER,
    },
)


def check(config: Mapping[str, Any]) -> Iterator[str]:
    yield from SETTINGS.problems(config)
    if problem := body_problem(config.get("mail>")):
        yield f"mail>: {problem}"


def body_problem(command: Any) -> Problem:
    if isinstance(command, Mapping) and set(command) == {"data"} and said.is_scalar(command["data"]):
        return ""
    if isinstance(command, str) and command.strip():
        return ""
    return f"takes a file with the body, such as body.txt, or its text as {{data: text}}, not {shown(command)}."
