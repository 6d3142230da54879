"""One mail, handed to a mail server."""

import smtplib
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from scheduler.execution.outside.connecting import Away, connected
from scheduler.execution.outside.places import Place, Refused, Rules, host_of, rules_of


def answer(asked: Mapping[str, Any], message: bytes) -> dict[str, Any]:
    """`refused`: what the server said of each recipient that it did not take, when it took another.

    Raises Refused, and Away for what another time may bring.
    """
    place = Place(host_of(asked["host"]), asked["port"])
    rules = rules_of(asked["ports"], asked["allowed"]) if asked["guarded"] else None
    try:
        with _session(place, rules, asked) as session:
            _log_in(session, asked)
            session.set_debuglevel(int(asked["debug"]))  # now that no password goes over the line any more
            refused = session.sendmail(asked["sender"], asked["recipients"], message)
    except ssl.SSLCertVerificationError as error:
        raise Refused(f"The mail server {place} does not show who it is: {error.verify_message}.") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise Refused(f"The mail server {place} took no recipient: {_each(error.recipients)}.") from None
    except smtplib.SMTPResponseException as error:
        raise Refused(f"The mail server {place} said {_said(error.smtp_code, error.smtp_error)}.") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Away(f"The mail server {place} did not take the mail: {str(error).rstrip('.')}.") from None
    return {"refused": {recipient: _said(*said) for recipient, said in refused.items()}}


def _session(place: Place, rules: Rules | None, asked: Mapping[str, Any]) -> smtplib.SMTP:
    name = socket.gethostname()
    names = {"local_hostname": name if "." in name else "[127.0.0.1]"}  # getfqdn would ask the network
    kind = _Encrypted if asked["ssl"] else _Plain
    session = kind(place, rules, connect_timeout=asked["connect_timeout"], timeout=asked["socket_timeout"], **names)
    if asked["tls"] and not asked["ssl"]:
        session.ehlo()
        if not session.has_extn("starttls"):
            session.close()
            raise Refused(f"The mail server {place} does not encrypt (STARTTLS). If it need not, say tls: false.")
        session.starttls(context=ssl.create_default_context())
    return session


class _Plain(smtplib.SMTP):
    """Connects to an address that was looked at."""

    def __init__(self, place: Place, rules: Rules | None, *, connect_timeout: float, **kwargs: Any) -> None:
        self._place, self._rules, self._connect_timeout = place, rules, connect_timeout
        super().__init__(place.host, place.port, **kwargs)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line = connected(self._place, self._rules, timeout=self._connect_timeout)
        line.settimeout(timeout)
        return line


class _Encrypted(_Plain):
    """From its first byte on."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line = super()._get_socket(host, port, timeout)
        return ssl.create_default_context().wrap_socket(line, server_hostname=host)


def _log_in(session: smtplib.SMTP, asked: Mapping[str, Any]) -> None:
    if asked["username"]:
        session.login(asked["username"], asked["password"])


def _each(recipients: Mapping[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{recipient}: {_said(*said)}" for recipient, said in recipients.items())


def _said(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())[:300]}".strip().rstrip(".")
