"""`http>` under attack: by URLs, by who answers, by what stands in headers. No packet leaves this machine."""

import gzip
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from projects import secrets
from scheduler.execution.drain import drain
from scheduler.execution.outside import exchange
from scheduler.execution.outside.connecting import Away, connected
from scheduler.execution.outside.places import Place, Refused, Rules, is_public, place_of, url_of
from scheduler.models import Attempt, Lane
from tests.dig.language import refusals
from tests.execution.outside import Answer, Asked, RawSite, Site, serving

PORTS = [80, 443, 8080, 8443]
RULES = Rules(frozenset(PORTS))
Execute = Callable[..., Attempt]


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(site := Site()):
        yield site


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that were connected to; none really is."""
    seen: list[Any] = []

    def connect(line: socket.socket, address: Any) -> None:
        seen.append(address)
        raise OSError(0, "not really")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What a resolver answers by name, one look-up after the other. Nothing else is looked up but numbers."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **kwargs: Any) -> list[Any]:
        if host not in known:
            return real(host, port, **kwargs, flags=socket.AI_NUMERICHOST)
        return [entry for one in known[host].pop(0) for entry in real(one, port, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def fetched(url: str, *allowed: str, **said: Any) -> dict[str, Any]:
    """The answer to a GET, in this process."""
    asked = {
        "method": "GET",
        "url": url,
        "headers": [],
        "body_is_private": False,
        "timeout": 5.0,
        "follow": True,
        "store": True,
        "ports": PORTS,
        "allowed": allowed,
        **said,
    }
    return exchange.answer(asked, said.get("body", b""))


# --- where it may go (54, 55) -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.1",
        "127.1",
        "169.254.169.254",
        "100.64.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fd00::1]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fec0::1]",
        "[ff02::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "[2001::7f00:1]",
        "[2001:db8::1]",
        "127.0.0.1.",
        "127。0。0。1",
        "１２７.0.0.1",
        "127.0.0.1%00.example.com",
        "user@93.184.216.34",
        "user:pw@93.184.216.34",
        "93.184.216.34@127.0.0.1",
        "93.184.216.34\\@127.0.0.1",
        "",
        "a..b",
        "-x",
    ],
)
def test_an_address_that_is_not_the_whole_worlds_is_refused_before_a_connection(
    host: str, connections: list[Any], names: dict[str, list[list[str]]]
) -> None:
    with pytest.raises(Refused):
        fetched(f"http://{host}/")

    assert connections == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
def test_a_name_of_this_machine_is_refused(
    host: str, connections: list[Any], names: dict[str, list[list[str]]]
) -> None:
    names["localhost"] = [["127.0.0.1"]]

    with pytest.raises(Refused, match=r"localhost is at 127\.0\.0\.1, which is no public address"):
        fetched(f"http://{host}/")

    assert connections == []


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 8000, 65535])
def test_other_ports_are_refused_even_at_public_addresses(port: int, connections: list[Any]) -> None:
    with pytest.raises(Refused, match=f"Port {port} is not open to tasks; 80, 443, 8080, 8443 are"):
        fetched(f"http://93.184.216.34:{port}/")

    assert connections == []


@pytest.mark.parametrize("address", ["93.184.216.34", "::ffff:93.184.216.34", "2606:4700::1", "64:ff9b::5db8:d822"])
def test_what_is_the_whole_worlds_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.django_db
def test_a_task_that_asks_for_this_machine_fails_with_what_to_do(execute: Execute, site: Site) -> None:
    attempt = execute({"+a": {"http>": site.url}})

    assert attempt.reason["message"].startswith(f"Port {site.server_address[1]} is not open to tasks")
    assert attempt.reason["message"].endswith(f"An administrator can allow it: HINDCAST_HTTP_ALLOW={site.place}.")
    assert site.asked == []


def test_one_private_address_among_those_of_a_name_is_enough_to_refuse(
    connections: list[Any], names: dict[str, list[list[str]]]
) -> None:
    names["rebind.example"] = [["93.184.216.34", "2606:4700::1", "10.0.0.1"]]

    with pytest.raises(Refused, match=r"at 10\.0\.0\.1"):
        fetched("http://rebind.example/")

    assert connections == []


def test_the_address_that_was_looked_at_is_connected_to_whatever_the_name_means_then(
    connections: list[Any], names: dict[str, list[list[str]]]
) -> None:
    names["rebind.example"] = [["93.184.216.34"], ["127.0.0.1"]]

    with pytest.raises(Away, match="not really"):
        fetched("https://rebind.example/")

    assert connections == [("93.184.216.34", 443)]
    assert names["rebind.example"] == [["127.0.0.1"]]  # not asked for a second time


def test_an_allowed_place_is_one_host_at_one_port(connections: list[Any], names: dict[str, list[list[str]]]) -> None:
    names["intranet.example"] = [["10.0.0.1"], ["10.0.0.1"]]
    rules = Rules(frozenset(PORTS), frozenset({place_of("intranet.example:8080")}))

    with pytest.raises(Away):
        connected(Place("intranet.example", 8080), rules, timeout=1)
    with pytest.raises(Refused):
        connected(Place("intranet.example", 80), rules, timeout=1)

    assert connections == [("10.0.0.1", 8080)]


# --- who sends it on (56) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://127.0.0.1:6379/", "Port 6379 is not open"),
        ("http://127.0.0.1/", "no public address"),
        ("//[::1]/", "no public address"),
        ("file:///etc/passwd", "begins with http"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "begins with http"),
        ("http://ann:pw@93.184.216.34/", "no user"),
        ("javascript:alert(1)", "begins with http"),
    ],
)
def test_a_redirect_leads_nowhere_else_than_a_url_may(site: Site, location: str, why: str) -> None:
    site.answer = lambda asked: Answer(302, headers={"Location": location})

    with pytest.raises(Refused, match=why):
        fetched(site.url, site.place)

    assert len(site.asked) == 1


def test_a_loop_of_redirects_ends_after_five(site: Site) -> None:
    site.answer = lambda asked: Answer(302, headers={"Location": asked.target + "x"})

    with pytest.raises(Refused, match="more than 5 times"):
        fetched(site.url, site.place)

    assert len(site.asked) == 6


@pytest.fixture
def two_sites() -> Iterator[tuple[Site, Site]]:
    """The first sends every request on to the second."""
    first, second = Site(), Site()
    first.answer = lambda asked: Answer(307, headers={"Location": f"{second.url}/stolen"})
    with serving(first), serving(second):
        yield first, second


def test_another_origin_gets_neither_the_authorization_nor_other_secrets(two_sites: tuple[Site, Site]) -> None:
    first, second = two_sites
    headers = [
        {"name": "Authorization", "value": "Bearer x"},
        {"name": "cookie", "value": "session=x"},
        {"name": "X-Api-Key", "value": "x", "private": True},
        {"name": "Accept", "value": "text/csv"},
    ]

    fetched(first.url, first.place, second.place, headers=headers)

    assert {"authorization", "cookie", "x-api-key", "accept"} <= set(first.asked[0].headers)
    (asked,) = second.asked
    assert set(asked.headers) == {"host", "accept-encoding", "accept", "user-agent"}


def test_the_same_origin_still_gets_them(site: Site) -> None:
    site.answer = lambda asked: Answer(307, headers={"Location": "/b"}) if asked.target == "/" else Answer()

    fetched(site.url, site.place, headers=[{"name": "Authorization", "value": "Bearer x"}])

    assert site.asked[1].headers["authorization"] == "Bearer x"


def test_content_with_a_secret_is_not_sent_on_to_another_origin(two_sites: tuple[Site, Site]) -> None:
    first, second = two_sites

    with pytest.raises(Refused, match="a secret is in its content"):
        fetched(first.url, first.place, second.place, method="POST", body=b"key", body_is_private=True)

    assert second.asked == []


# --- what answers (57) --------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"


def repeated(piece: bytes) -> Callable[[Any], None]:
    def talk(line: Any) -> None:
        line.write(HEAD)
        while True:
            line.write(piece)

    return talk


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (repeated(b"X-Some: header\r\n"), "too many headers"),
        (repeated(b"X" * 1000), "too many headers, or too long ones"),
        (repeated(b"X: " + b"x" * 60_000 + b"\r\n"), "too many headers|bytes of headers"),
        (repeated(b"\r\n" + b"x" * 65_536), "longer than 1048576 bytes"),
    ],
)
def test_an_answer_without_an_end_is_given_up(talk: Callable[[Any], None], why: str) -> None:
    with serving(site := RawSite(talk)), pytest.raises(Refused, match=why):
        fetched(site.url, site.place)


def test_an_answer_that_is_not_kept_has_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MOST_UNREAD_BYTES", 10 * 1024 * 1024)

    with serving(site := RawSite(repeated(b"\r\n" + b"x" * 65_536))), pytest.raises(Refused, match="10485760 bytes"):
        fetched(site.url, site.place, store=False)


def test_a_bomb_is_not_unpacked(site: Site) -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000))
    for encoding, body in (("gzip", gzip.decompress(bomb)), ("gzip, gzip", bomb)):
        site.answer = lambda asked, body=body, encoding=encoding: Answer(200, body, {"Content-Encoding": encoding})

        with pytest.raises(Refused, match="longer than 1048576 bytes"):
            fetched(site.url, site.place)


@pytest.mark.django_db
def test_an_answer_of_a_byte_now_and_then_is_not_waited_for(execute: Execute, settings: Any) -> None:
    def talk(line: Any) -> None:
        line.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        while True:
            line.write(b"x")
            ended.wait(0.1)

    ended = threading.Event()
    with serving(site := RawSite(talk)):
        settings.HINDCAST_HTTP_ALLOW = [site.place]

        attempt = execute({"+a": {"http>": site.url, "timeout": 1, "retry": False}})

    assert attempt.reason["message"] == f"GET {site.url}/: It took longer than 1 s."


@pytest.mark.parametrize(
    "said", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", HEAD + b"Content-Length: 5\r\n\r\nx"]
)
def test_what_is_no_answer_is_told(said: bytes) -> None:
    with serving(site := RawSite(lambda line: line.write(said))), pytest.raises(Away, match="did not answer"):
        fetched(site.url, site.place)


# --- what stands in a request (58) --------------------------------------------------------------------------------

BREAKS = ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rb", "a\x1bb", "a\u2028b"]


@pytest.mark.parametrize("text", BREAKS)
@pytest.mark.parametrize(
    "place", ["http>: {}", "http>: 'https://example.com', method: {}", "http>: 'https://example.com', headers: [X: {}]"]
)
def test_a_line_break_in_url_method_or_header_is_refused_when_it_is_pushed(text: str, place: str) -> None:
    quoted = json.dumps(f"https://example.com/{text}" if place.startswith("http>: {") else text)

    assert refusals("+a: {" + place.format(quoted) + "}")


@pytest.mark.django_db
@pytest.mark.parametrize("text", BREAKS)
def test_and_one_that_comes_in_a_value_is_refused_then(execute: Execute, site: Site, settings: Any, text: str) -> None:
    settings.HINDCAST_HTTP_ALLOW = [site.place]
    documents = [
        {"http>": f"{site.url}/${{x}}"},
        {"http>": site.url, "method": "${x}"},
        {"http>": site.url, "headers": [{"X-Some": "${x}"}]},
        {"http>": site.url, "content": "x", "content_type": "${x}"},
    ]

    ends = [execute({"+a": document}, params={"x": text}) for document in documents]

    assert [attempt.status for attempt in ends] == ["error"] * 4
    assert site.asked == []


@pytest.mark.django_db
def test_and_one_in_a_query_is_only_data(execute: Execute, site: Site, settings: Any) -> None:
    settings.HINDCAST_HTTP_ALLOW = [site.place]

    execute({"+a": {"http>": site.url, "query": {"q": "${x}"}}}, params={"x": "a\r\nX-Evil: 1"})

    (asked,) = site.asked
    assert (asked.target, "x-evil" in asked.headers) == ("/?q=a%0D%0AX-Evil%3A+1", False)


# --- its process (59, 60) -----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_nothing_that_a_document_says_is_an_argument_or_in_the_environment_of_the_process(
    queue: Execute, site: Site, settings: Any, tmp_path: Any
) -> None:
    seen: list[str] = []

    def look(asked: Asked) -> Answer:
        seen.extend(_processes_below(os.getpid()))
        return Answer()

    site.answer = look
    settings.HINDCAST_HTTP_ALLOW, settings.HINDCAST_WORK_DIR = [site.place], tmp_path / "work"
    attempt = queue(
        {
            "+a": {
                "http>": f"{site.url}/--upload-pack=id;$(id)",
                "headers": [{"X-Some": "-oProxyCommand=id"}, {"X-Key": "${secret:key}"}],
                "content": "`id`",
                "method": "POST",
            }
        }
    )
    secrets.put(project_id=attempt.workflow.project_id, key="key", value="s3cret-key", now=attempt.created_at)

    drain(Lane.MANUAL)

    attempt.refresh_from_db()
    assert attempt.status == "success"
    (child,) = [process for process in seen if "outside/child.py" in process]
    assert not any(text in child for text in ("upload-pack", "ProxyCommand", "`id`", "s3cret", "SECRET_KEY"))


def _processes_below(pid: int) -> list[str]:
    """Arguments and environment of each."""
    listed = subprocess.run(["ps", "eww", "--ppid", str(pid), "-o", "args"], capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_a_url_is_taken_apart_as_it_is_connected_to() -> None:
    url = url_of("HTTPS://Example.COM.:8443/a b/ü?q=1 2#part")

    assert (str(url), url.place) == ("https://example.com:8443/a%20b/%C3%BC?q=1%202", Place("example.com", 8443))


def test_half_a_character_in_a_url_is_a_question_mark() -> None:
    assert url_of("https://example.com/\ud800?\udfff").target == "/%3F??"
