"""`http>: https://example.com/data` makes a request over HTTP.

    method:           GET (the default), HEAD, OPTIONS, TRACE, POST, PUT, PATCH or DELETE
    content:          what to send: a text as it is, a mapping or list as JSON
    content_format:   text, json or form
    content_type:     another type than that of the format
    headers:          a list of mappings, one header each
    query:            parameters of the URL, a mapping or a text
    timeout:          seconds for all of it; 30
    retry:            whether to try again later, for an hour at most, when the server is away, says 408, 429 or 5xx, or
                      takes too long; true for the first four methods, which change nothing
    follow_redirects: true
    store_content:    true to keep the answer in ${http.last_content}; ${http.last_status} is always there

The secrets http.user and http.password, or http.authorization, are sent as the header Authorization; http.uri is the
URL when none stands beside the operator. `${secret:name}` may stand in the URL, headers, query and content.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings

from scheduler.execution.operators import errand, said
from scheduler.execution.operators.base import Context, Operator, Outcome, TaskFailed, TryLater
from scheduler.execution.operators.http_said import SAFE, SETTINGS, check, format_problem
from scheduler.execution.operators.said import Values
from scheduler.execution.outside.places import Refused, Url, url_of
from scheduler.execution.template import TemplateError, as_text

TYPES = {"text": "text/plain", "json": "application/json", "form": "application/x-www-form-urlencoded"}
TIMEOUT_SECONDS = 30.0
FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS = 1.0, 30.0
RETRY_FOR = timedelta(hours=1)

Header = tuple[str, str]


@dataclass(frozen=True)
class Request:
    """`shown` is what the log and messages call it: nothing secret is in it."""

    method: str
    url: Url
    shown: str
    headers: list[dict[str, Any]]
    body: bytes
    body_is_private: bool
    timeout: float
    retry: bool
    follow: bool
    store: bool


def run(task: Context) -> Outcome:
    request = _request(task)
    task.write(f"{request.shown}\n".encode())
    try:
        answer = errand.run(task, "exchange", _told(request), request.body, seconds=request.timeout)
    except errand.Away as away:
        raise _again(task, request, str(away)) from None
    _log(task, answer)
    status = answer["status"]
    if status in (408, 429) or status >= 500:
        raise _again(task, request, f"{_status(answer)}.", at_least=answer["retry_after"], http_status=status)
    if status >= 400:
        raise TaskFailed(f"{request.shown}: {_status(answer)}.", http_status=status)
    return Outcome({"http": {**_earlier(task), **_result(answer)}})


# --- the request ------------------------------------------------------------------------------------------------


def _request(task: Context) -> Request:
    values = SETTINGS.of(task)
    method = values.text("method", "GET").upper()
    url, url_is_private = _url(task, values)
    content_type, body = _content(values)
    return Request(
        method=method,
        url=url,
        shown=f"{method} {f'{url.origin}/…' if url_is_private else url}",
        headers=list(_headers(task, values, method, content_type)),
        body=body,
        body_is_private=values.is_private("content"),
        timeout=values.number("timeout", TIMEOUT_SECONDS),
        retry=values.flag("retry", method in SAFE),
        follow=values.flag("follow_redirects", True),
        store=values.flag("store_content", False),
    )


def _url(task: Context, values: Values) -> tuple[Url, bool]:
    """And whether a secret is in it. Raises TaskFailed."""
    if task.command is None:
        text, private = errand.secret(task, "http.uri"), True
        if not text:
            raise TaskFailed("There is no URL beside http>:, and the project has no secret http.uri.")
    else:
        text, private = as_text(said.revealed(task, task.command)), said.holds_secret(task.command)
    try:
        return url_of(_with_query(text, values)), private or values.is_private("query")
    except Refused as refusal:
        raise TaskFailed(f"http>: {refusal}") from None


def _with_query(url: str, values: Values) -> str:
    query = values.revealed("query")
    if query is None:
        return url
    pairs = query if isinstance(query, Mapping) else parse_qsl(as_text(query), keep_blank_values=True)
    before, _, _ = url.partition("#")
    return f"{before}{'&' if '?' in before else '?'}{_form(pairs)}"


def _form(pairs: Mapping[str, Any] | list[tuple[str, str]]) -> str:
    named = pairs.items() if isinstance(pairs, Mapping) else pairs
    texts = [(name, as_text(item)) for name, value in named for item in (value if isinstance(value, list) else [value])]
    return urlencode(texts, errors="replace")


def _content(values: Values) -> tuple[str, bytes]:
    """Its type and its bytes; "" and nothing without one."""
    if "content" not in values:
        return "", b""
    content = values.revealed("content")
    form = values.text("content_format").lower() or ("text" if said.is_scalar(content) else "json")
    if problem := format_problem(content, form):
        raise TaskFailed(problem)
    if form == "json":
        text = json.dumps(content, ensure_ascii=False)
    else:
        text = _form(content) if form == "form" else as_text(content)
    return values.text("content_type") or TYPES[form], text.encode("utf-8", "replace")


def _headers(task: Context, values: Values, method: str, content_type: str) -> Iterator[dict[str, Any]]:
    """The document's own, then ours, as far as it does not say the same."""
    taken = set()
    for raw, header in zip(values.raw("headers") or [], values.revealed("headers", []), strict=True):
        for name, value in header.items():
            taken.add(name.lower())
            yield {"name": name, "value": as_text(value), "private": said.holds_secret(raw)}
    for name, value in _ours(task, method, content_type, taken):
        if value and name.lower() not in taken:
            yield {"name": name, "value": value}


def _ours(task: Context, method: str, content_type: str, taken: Iterable[str]) -> Iterator[Header]:
    yield "User-Agent", "Hindcast"
    yield "Content-Type", content_type
    if method not in SAFE:
        yield "Idempotency-Key", errand.key(task)
    if "authorization" not in taken:
        yield "Authorization", _authorization(task)


def _authorization(task: Context) -> str:
    value = errand.secret(task, "http.authorization")
    if not value and (user := errand.secret(task, "http.user")):
        pair = f"{user}:{errand.secret(task, 'http.password')}"
        value = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if problem := said.one_line(value):
        raise TaskFailed(f"The secret http.authorization {problem}")
    return value


def _told(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": str(request.url),
        "headers": request.headers,
        "body_is_private": request.body_is_private,
        "timeout": request.timeout,
        "follow": request.follow,
        "store": request.store,
        "ports": settings.HINDCAST_HTTP_PORTS,
    }


# --- the answer -------------------------------------------------------------------------------------------------


def _log(task: Context, answer: Mapping[str, Any]) -> None:
    for origin in answer["hops"]:
        task.write(f"-> {origin}\n".encode())
    size = f", {answer['bytes']:,} bytes" if "bytes" in answer else ""
    task.write(f"{_status(answer)}{size}\n{answer.get('beginning', '')[:1000]}".rstrip().encode() + b"\n")


def _status(answer: Mapping[str, Any]) -> str:
    return f"{answer['status']} {answer['reason'][:100]}".strip()


def _again(task: Context, request: Request, why: str, *, at_least: float = 0, **facts: object) -> TryLater | TaskFailed:
    """`at_least`: seconds that the server asks to wait."""
    if not request.retry:
        return TaskFailed(f"{request.shown}: {why}", **facts)
    tries = int(task.kept.get("tries", 0)) + 1
    since = datetime.fromisoformat(task.kept["since"]) if "since" in task.kept else task.now
    if task.now - since >= RETRY_FOR:
        return TaskFailed(f"{request.shown}: {why} It was tried {tries} times in an hour.", **facts)
    wait = min(FIRST_WAIT_SECONDS * 2 ** min(tries - 1, 10), LAST_WAIT_SECONDS)
    wait = max(wait, min(at_least, RETRY_FOR.total_seconds()))
    task.write(f"{why} Once more in {wait:g} s.\n".encode())
    return TryLater(wait, {"tries": tries, "since": since.isoformat()})


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    result = {"last_status": answer["status"]}
    return result | {"last_content": answer["content"]} if "content" in answer else result


def _earlier(task: Context) -> dict[str, Any]:
    """What an earlier request kept stays there, until one keeps another."""
    try:
        earlier = task.variables.get("http")
    except TemplateError:  # the settings that `_export` has under this name, with a secret in them
        return {}
    content = earlier.get("last_content") if isinstance(earlier, Mapping) else None
    return {} if content is None else {"last_content": content}


HTTP = Operator(run, check=check)
