"""PURE: the places that a task may reach: public addresses at few ports, and those that an administrator named.

A project's author may run any code as the worker's user. These rules are for everybody else's input: a URL that comes
out of data, a redirect, a name whose address changes must not reach what only this machine can.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, urlsplit

LONGEST_URL = 8192
PORTS = {"http": 80, "https": 443}
CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
PATH_SAFE = "/%:@!$&'()*+,;=~-._"

# What is not the whole world's, beside what Python of any version knows by itself.
NOT_PUBLIC_4 = tuple(map(IPv4Network, ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4")))
PUBLIC_6 = IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# The last four bytes of these are an IPv4 address, to which a gateway would carry it on.
TRANSLATED = IPv6Network("64:ff9b::/96")


class Refused(Exception):  # noqa: N818 - named as the fact
    """The place is none that a task may reach, or no place at all. The text says why."""


@dataclass(frozen=True)
class Place:
    """Where a connection leads. `host` is a name or an address, in small ASCII letters, without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Url:
    """An http or https URL, taken apart. `target` is its path and query as they are sent."""

    scheme: str
    place: Place
    target: str

    @property
    def origin(self) -> str:
        shown = str(self.place).removesuffix(f":{PORTS[self.scheme]}")
        return f"{self.scheme}://{shown}"

    def __str__(self) -> str:
        return self.origin + self.target


@dataclass(frozen=True)
class Rules:
    """`ports` may be reached at public addresses, `allowed` wherever they are."""

    ports: frozenset[int]
    allowed: frozenset[Place] = frozenset()

    def check_port(self, place: Place) -> None:
        """Raises Refused."""
        if place.port not in self.ports and place not in self.allowed:
            ports = ", ".join(map(str, sorted(self.ports)))
            raise Refused(f"Port {place.port} is not open to tasks; {ports} are. {self._hint(place)}")

    def check_address(self, place: Place, address: str) -> None:
        """`address` is one that `place` has. Raises Refused."""
        if place not in self.allowed and not is_public(address):
            at = "" if address == place.host else f" is at {address}, which"
            raise Refused(f"{place.host}{at} is no public address. {self._hint(place)}")

    def _hint(self, place: Place) -> str:
        return f"An administrator can allow it: HINDCAST_HTTP_ALLOW={place}."


def url_of(text: str) -> Url:
    """Raises Refused for anything but a plain http or https URL."""
    if len(text) > LONGEST_URL:
        raise Refused(f"The URL has more than {LONGEST_URL} characters.")
    if CONTROL.search(text):
        raise Refused("The URL has a line break or another control character in it.")
    try:
        parts = urlsplit(text.strip(" "))
        port = parts.port
    except ValueError as error:
        raise Refused(f"The URL cannot be read: {error}.") from None
    if parts.scheme not in PORTS:
        said = f"not with {parts.scheme}:" if parts.scheme else "as in https://example.com/data"
        raise Refused(f"A URL begins with http:// or https://, {said}.")
    if "@" in parts.netloc or "\\" in text:
        raise Refused(
            "A URL has no user, password or backslash in it; put the first two into the secrets http.user and "
            "http.password."
        )
    place = Place(host_of(parts.hostname or ""), PORTS[parts.scheme] if port is None else port)
    return Url(parts.scheme, place, _target(parts.path, parts.query))


def host_of(text: str) -> str:
    """The name or address as it is looked up. Raises Refused.

    Numbers are an address only in its usual form: the forms that C libraries take besides (`0x7f.1`) hide one.
    """
    if ":" in text:
        return str(_address(text, IPv6Address))
    try:
        host = text.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        host = ""
    labels = host.split(".")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise Refused(f"{text[:100]!r} is not the name of a host.")
    return str(_address(host, IPv4Address)) if NUMBER.fullmatch(labels[-1]) else host


def is_public(text: str) -> bool:
    """Does this address mean the same in the whole world, and one machine?"""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return _is_public_4(address)
    if (inner := _inner(address)) is not None:
        return _is_public_4(inner)
    return address in PUBLIC_6 and address.is_global and not any(address in network for network in NOT_PUBLIC_6)


def place_of(text: str) -> Place:
    """`host:port`, the form of HINDCAST_HTTP_ALLOW; `[…]:port` for an IPv6 address. Raises Refused."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Refused(f"{text[:100]!r} is not a host and a port, as in intranet.example:8080.")
    return Place(host_of(host.removeprefix("[").removesuffix("]")), int(port))


def rules_of(ports: Iterable[int], allowed: Iterable[str]) -> Rules:
    """Raises Refused for an entry of `allowed` that is not `host:port`."""
    return Rules(frozenset(ports), frozenset(map(place_of, allowed)))


def _address(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> IPv4Address | IPv6Address:
    try:
        address = kind(text)
        if "%" in text:  # a network card of this machine
            raise ValueError
    except ValueError:
        raise Refused(f"{text[:100]!r} is not the usual form of an address.") from None
    return address


def _target(path: str, query: str) -> str:
    shown = quote(path or "/", safe=PATH_SAFE, errors="replace")
    return shown + (f"?{quote(query, safe=PATH_SAFE + '?[]', errors='replace')}" if query else "")


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


def _is_public_4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in NOT_PUBLIC_4)
