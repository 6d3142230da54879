"""One HTTP request and its answer, over redirects, with bounds on everything that the other side decides."""

import contextlib
import http.client
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urljoin

from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from scheduler.execution.outside.connecting import Away, connected
from scheduler.execution.outside.places import Refused, Rules, Url, rules_of, url_of

MOST_REDIRECTS = 5
MOST_HEADER_BYTES = 64 * 1024
MOST_STORED_BYTES = 1024 * 1024
MOST_UNREAD_BYTES = 64 * 1024 * 1024
SHOWN_BYTES = 1000
CHUNK_BYTES = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
# What tells the place we were sent to who we are, or belongs to a body that is not sent on.
PERSONAL = frozenset({"authorization", "cookie", "proxy-authorization", "idempotency-key"})
# What http.client raises for headers without an end; its subclasses say other things.
ENDLESS = (http.client.HTTPException, http.client.LineTooLong)
OF_A_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-location"})


@dataclass(frozen=True)
class Header:
    """`private`: a secret is in it, so that no other place than the first is to see it."""

    name: str
    value: str
    private: bool = False


@dataclass(frozen=True)
class Request:
    """`body_is_private` as with a header."""

    method: str
    url: Url
    headers: tuple[Header, ...]
    body: bytes
    body_is_private: bool
    follow: bool
    store: bool

    def allowed_from(self, here: Url) -> "Request":
        """The request as the place of `url` may see it, to which `here` sent us. Raises Refused."""
        if self.url.origin == here.origin:
            return self
        if self.body and self.body_is_private:
            raise Refused(f"{here.origin} sent the request on to {self.url.origin}, and a secret is in its content.")
        kept = [header for header in self.headers if not (header.private or header.name.lower() in PERSONAL)]
        return replace(self, headers=tuple(kept))


def answer(asked: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """What came back: `status`, `reason`, the origins of the `hops`, `bytes`, and `content`; of an error its
    `beginning`, and `retry_after` how many seconds.

    Raises Refused, and Away for what another time may bring.
    """
    rules = rules_of(asked["ports"], asked["allowed"])
    request = Request(
        method=asked["method"],
        url=url_of(asked["url"]),
        headers=tuple(Header(**header) for header in asked["headers"]),
        body=body,
        body_is_private=asked["body_is_private"],
        follow=asked["follow"],
        store=asked["store"],
    )
    hops: list[str] = []
    while True:
        with _sent(request, rules, asked["timeout"]) as response:
            onward = _onward(request, response)
            if onward is None:
                return {"hops": hops, **_told(request, response)}
        request = onward
        hops.append(request.url.origin)
        if len(hops) > MOST_REDIRECTS:
            raise Refused(f"The request was sent on more than {MOST_REDIRECTS} times.")


@contextlib.contextmanager
def _sent(request: Request, rules: Rules, timeout: float) -> Iterator[BaseHTTPResponse]:
    connection = _connection(request.url, rules, timeout)
    try:
        connection.request(
            request.method,
            request.url.target,
            body=request.body or None,
            headers=_headers(request),
            preload_content=False,
        )
        response = connection.getresponse()
        _check_size(response)
        yield response
    except ssl.SSLCertVerificationError as error:
        raise Refused(f"{request.url.origin} does not show who it is: {error.verify_message}.") from None
    except (HTTPError, http.client.HTTPException, OSError) as error:
        if type(error) in ENDLESS:
            raise Refused(f"The answer of {request.url.origin} has too many headers, or too long ones.") from None
        raise Away(f"{request.url.origin} did not answer: {_reason(error)}.") from None
    finally:
        connection.close()


def _connection(url: Url, rules: Rules, timeout: float) -> HTTPConnection:
    """Host and SNI are those of the URL, the address that which was looked at."""
    connect = partial(connected, url.place, rules, timeout=timeout)
    if url.scheme == "http":
        return _Plain(url.place.host, url.place.port, timeout=timeout, connect=connect)
    context = ssl.create_default_context()
    return _Encrypted(url.place.host, url.place.port, timeout=timeout, connect=connect, ssl_context=context)


class _Plain(HTTPConnection):
    def __init__(self, *args: Any, connect: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connect_pinned = connect

    def _new_conn(self) -> Any:
        return self._connect_pinned()


class _Encrypted(HTTPSConnection):
    def __init__(self, *args: Any, connect: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connect_pinned = connect

    def _new_conn(self) -> Any:
        return self._connect_pinned()


def _headers(request: Request) -> HTTPHeaderDict:
    headers = HTTPHeaderDict({"Accept-Encoding": "gzip"})
    for header in request.headers:
        value = header.value.encode().decode("latin-1")  # as which it is sent: UTF-8 arrives
        if header.name.lower() in ("accept-encoding", "user-agent"):
            headers[header.name] = value
        else:
            headers.add(header.name, value)
    return headers


def _check_size(response: BaseHTTPResponse) -> None:
    size = sum(len(name) + len(value) for name, value in response.headers.items())
    if size > MOST_HEADER_BYTES:
        raise Refused(f"The answer has more than {MOST_HEADER_BYTES} bytes of headers.")


def _onward(request: Request, response: BaseHTTPResponse) -> Request | None:
    """The request to make next. Raises Refused for a place where it must not go."""
    location = response.headers.get("location")
    if not request.follow or response.status not in REDIRECTS or not location:
        return None
    here = request.url
    following = replace(request, url=url_of(urljoin(str(here), location)))
    if response.status == 303 or (response.status in (301, 302) and request.method == "POST"):
        kept = tuple(header for header in request.headers if header.name.lower() not in OF_A_BODY)
        method = "HEAD" if request.method == "HEAD" else "GET"
        following = replace(following, method=method, body=b"", headers=kept)
    return following.allowed_from(here)


def _told(request: Request, response: BaseHTTPResponse) -> dict[str, Any]:
    said = {"status": response.status, "reason": response.reason or ""}
    if response.status >= 400:
        beginning = _text(response, response.read(SHOWN_BYTES, decode_content=True))
        return {**said, "beginning": beginning, "retry_after": _seconds(response.headers.get("retry-after", ""))}
    if not request.store:
        return {**said, "bytes": _passed_over(response)}
    content = _read(response)
    return {**said, "bytes": len(content), "content": _text(response, content)}


def _read(response: BaseHTTPResponse) -> bytes:
    content = bytearray()
    while piece := response.read(CHUNK_BYTES, decode_content=True):
        content += piece
        if len(content) > MOST_STORED_BYTES:
            raise Refused(f"The answer is longer than {MOST_STORED_BYTES} bytes, the most that store_content: keeps.")
    return bytes(content)


def _passed_over(response: BaseHTTPResponse) -> int:
    """To its end, as some send it while they work. Not unpacked."""
    size = 0
    while piece := response.read(CHUNK_BYTES, decode_content=False):
        size += len(piece)
        if size > MOST_UNREAD_BYTES:
            raise Refused(f"The answer is longer than {MOST_UNREAD_BYTES} bytes.")
    return size


def _seconds(text: str) -> int:
    """Retry-After, where it is a number; 0 for none, and for the form that is a date."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _text(response: BaseHTTPResponse, content: bytes) -> str:
    _, _, charset = response.headers.get("content-type", "").lower().partition("charset=")
    try:
        return content.decode(charset.partition(";")[0].strip(" \"'") or "utf-8", "replace")
    except (LookupError, UnicodeError, ValueError):
        return content.decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
