"""`mail>: body.txt` sends a mail. The file is one of the project's, and a template; `mail>: {data: text}` needs none.

    subject, from:  of the mail; `from` may be left to the installation
    to, cc, bcc:    one address or a list
    html:           true when the body is HTML
    attach_files:   a list of {path: …, filename: …, content_type: …}; the last two are optional
    host, port, username, tls, ssl: a mail server of the project's own
    connect_timeout, socket_timeout: durations, such as 30s
    debug:          true to have the dialogue with the server in the log

Each of those of a server may be a secret instead (mail.host, …); the password is the secret mail.password. Without a
host it is the installation's server (EMAIL_HOST): either the one or the other, so that the password of one never
reaches the other. `${secret:name}` may stand in `data:`. What was sent is not sent again for a failure: say `_retry:`.
"""

from dataclasses import dataclass
from email.utils import format_datetime, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from scheduler.execution import storable
from scheduler.execution.operators import errand, said
from scheduler.execution.operators.base import NOTHING, Context, Operator, Outcome, TaskFailed
from scheduler.execution.operators.mail_said import SERVER, SETTINGS, body_problem, check
from scheduler.execution.operators.said import Values
from scheduler.execution.operators.wait import duration
from scheduler.execution.operators.workspace_file import content_of
from scheduler.execution.template import as_text, render_all

SMTP = "django.core.mail.backends.smtp.EmailBackend"
PORTS = (25, 465, 587, 2525)
CONNECT_TIMEOUT, SOCKET_TIMEOUT = "30s", "60s"
LONGEST_SECONDS = 300.0
MOST_BODY_BYTES = 1024 * 1024
MOST_ATTACHED_BYTES = 20 * 1024 * 1024


def run(task: Context) -> Outcome:
    values = SETTINGS.of(task)
    server = _server(task, values)
    message = _message(task, values)
    task.write(f"Mail to {', '.join(message.recipients())}: {message.subject}\n".encode("utf-8", "replace"))
    if server is None:
        _hand_over(message)
    else:
        _send(task, values, server, message)
    return NOTHING


# --- the server -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """`guarded`: a project named it, so that it must be a place that tasks may reach."""

    host: str
    port: int
    tls: bool
    ssl: bool
    username: str
    password: str
    guarded: bool


def _server(task: Context, values: Values) -> Server | None:
    """None when the installation sends its mail in a way of its own (EMAIL_BACKEND). Raises TaskFailed."""
    values.text("password")  # to refuse it
    own = {name: _own(task, values, name) for name in SERVER}
    if own["host"]:
        return _own_server(task, own)
    if lonely := next((name for name, value in own.items() if value), None):
        raise TaskFailed(f"{lonely}: goes with a mail server of the project's own; say host:, too.")
    if settings.EMAIL_BACKEND != SMTP:
        return None
    if not settings.EMAIL_HOST:
        raise TaskFailed(
            "No mail server is configured. An administrator sets EMAIL_HOST; or the project has one of its own, with "
            "host: beside mail>, or the secret mail.host."
        )
    return Server(
        host=settings.EMAIL_HOST,
        port=settings.EMAIL_PORT,
        tls=settings.EMAIL_USE_TLS,
        ssl=settings.EMAIL_USE_SSL,
        username=settings.EMAIL_HOST_USER,
        password=settings.EMAIL_HOST_PASSWORD,
        guarded=False,
    )


def _own(task: Context, values: Values, name: str) -> str:
    """A secret first, as in Digdag; "" for nothing said."""
    value = errand.secret(task, f"mail.{name}")
    if value and (problem := SERVER[name](value)):
        raise TaskFailed(f"The secret mail.{name} {problem}")
    return value or values.text(name)


def _own_server(task: Context, own: dict[str, str]) -> Server:
    ssl = own["ssl"].lower() == "true"
    return Server(
        host=own["host"],
        port=int(own["port"] or (465 if ssl else 587)),
        tls=own["tls"].lower() != "false",
        ssl=ssl,
        username=own["username"],
        password=errand.secret(task, "mail.password") if own["username"] else "",
        guarded=True,
    )


# --- the mail ---------------------------------------------------------------------------------------------------


def _message(task: Context, values: Values) -> EmailMessage:
    sender = values.text("from") or settings.DEFAULT_FROM_EMAIL
    if "to" not in values:
        raise TaskFailed("There is no to: address.")
    if "subject" not in values:
        raise TaskFailed("There is no subject:.")
    if not sender:
        raise TaskFailed("There is no from: address, and the installation has none (DEFAULT_FROM_EMAIL).")
    message = EmailMessage(
        subject=values.text("subject"),
        body=_body(task),
        from_email=sender,
        to=values.texts("to"),
        bcc=values.texts("bcc"),
        cc=values.texts("cc"),
        headers={"Date": format_datetime(task.now), "Message-ID": _message_id(task, sender)},
    )
    if values.flag("html", False):
        message.content_subtype = "html"
    _attach(task, values, message)
    return message


def _message_id(task: Context, sender: str) -> str:
    """The same should the task run twice, for readers of mail to see it."""
    return f"<{errand.key(task)}@{_envelope(sender).partition('@')[2]}>"


def _body(task: Context) -> str:
    if problem := body_problem(task.command):
        raise TaskFailed(f"mail>: {problem}")
    if isinstance(task.command, dict):
        return storable.text(as_text(said.revealed(task, task.command["data"])))
    name = as_text(render_all(task.command, task.variables.__getitem__))
    content = content_of(task.workspace(), name, most_bytes=MOST_BODY_BYTES)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise TaskFailed(f"The file {name[:100]!r} is not text in UTF-8.") from None
    # No secrets: a task before may have written it, out of anything.
    return storable.text(as_text(render_all(text, task.variables.__getitem__)))


def _attach(task: Context, values: Values, message: EmailMessage) -> None:
    room = MOST_ATTACHED_BYTES
    for entry in values.value("attach_files", []):
        path = as_text(entry["path"])
        content = content_of(task.workspace(), path, most_bytes=room)
        room -= len(content)
        name = as_text(entry.get("filename")) or path.rpartition("/")[2]
        message.attach(name, content, as_text(entry.get("content_type")) or "application/octet-stream")


# --- on its way -------------------------------------------------------------------------------------------------


def _hand_over(message: EmailMessage) -> None:
    try:
        get_connection().send_messages([message])
    except Exception as error:  # every backend has its own
        raise TaskFailed(f"The mail was not sent: {type(error).__name__}: {error}") from error


def _send(task: Context, values: Values, server: Server, message: EmailMessage) -> None:
    connect, socket = (
        duration(values.text(name, default)).total_seconds()
        for name, default in (("connect_timeout", CONNECT_TIMEOUT), ("socket_timeout", SOCKET_TIMEOUT))
    )
    told: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "tls": server.tls,
        "ssl": server.ssl,
        "username": server.username,
        "password": server.password,
        "guarded": server.guarded,
        "ports": PORTS,
        "sender": _envelope(message.from_email),
        "recipients": list(map(_envelope, message.recipients())),
        "connect_timeout": connect,
        "socket_timeout": socket,
        "debug": values.flag("debug", False),
    }
    content = message.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own
    try:
        answer = errand.run(task, "delivery", told, content, seconds=max(LONGEST_SECONDS, connect + socket))
    except errand.Away as away:
        raise TaskFailed(str(away)) from None
    if answer["refused"]:
        each = "; ".join(f"{recipient}: {words}" for recipient, words in answer["refused"].items())
        raise TaskFailed(f"The mail was sent, but not to all. The server refused {each}.")


def _envelope(address: str) -> str:
    """The address alone, its domain in ASCII."""
    local, _, domain = parseaddr(address)[1].rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


MAIL = Operator(run, check=check)
