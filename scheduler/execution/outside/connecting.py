"""Connections to places, as the rules have it: a name is looked up once, and what was looked at is connected to."""

import socket
import threading
from collections.abc import Sequence
from typing import Any

from scheduler.execution.outside.places import Place, Refused, Rules

Found = tuple[int, Any]
"""The family of an address, and the address as `connect` takes it."""


class Away(Exception):  # noqa: N818 - named as the fact
    """The place cannot be reached now; another time it may be. The text says why."""


def connected(place: Place, rules: Rules | None, *, timeout: float) -> socket.socket:
    """A connection to the first address of `place` that answers, each within `timeout` seconds.

    No rules: the administrator's own place. Raises Refused before a packet leaves, when the rules forbid it for ANY
    address that the name has, and Away.
    """
    if rules is not None:
        rules.check_port(place)
    found = _looked_up(place)
    if rules is not None:
        for _, address in found:
            rules.check_address(place, address[0])
    return _first(place, found, timeout)


def _looked_up(place: Place) -> list[Found]:
    """In a thread, as nothing interrupts a look-up: who waits for a thread is, by the alarm that ends the child."""
    answer: list[list[Found] | OSError] = []
    thread = threading.Thread(target=_look_up, args=(place, answer), daemon=True)
    thread.start()
    thread.join()
    found = answer[0] if answer else OSError("the look-up broke")
    if isinstance(found, OSError):
        raise Away(f"The host {place.host} was not found: {_reason(found)}.")
    return found


def _look_up(place: Place, answer: list[list[Found] | OSError]) -> None:
    try:
        entries = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError as error:
        answer.append(error)
    except UnicodeError:
        answer.append(OSError("it is no name"))
    else:
        answer.append([(family, address) for family, _, _, _, address in entries])


def _first(place: Place, found: Sequence[Found], timeout: float) -> socket.socket:
    error: OSError = OSError("it has no address")
    for family, address in found:
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(timeout)
            line.connect(address)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as refusal:
            line.close()
            error = refusal
        except BaseException:
            line.close()
            raise
        else:
            return line
    raise Away(f"{place} cannot be reached: {_reason(error)}.")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).rstrip(".")


__all__ = ["Away", "Refused", "connected"]
