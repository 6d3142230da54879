"""`mail>` against a mail server of the test's own, and by a backend of Django's."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail

from scheduler.models import Attempt, TaskRun
from tests.dig.language import refusals
from tests.execution.outside import MailServer, make_certificate, serving

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]
SMTP = "django.core.mail.backends.smtp.EmailBackend"
MAIL = {"mail>": {"data": "Hello"}, "subject": "Rows", "to": "ann@example.com", "from": "us@example.com"}


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """The installation's mail server."""
    with serving(server := MailServer()):
        settings.EMAIL_BACKEND = SMTP
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        yield server


@pytest.fixture
def own_server(settings: Any) -> Iterator[MailServer]:
    """A mail server that projects may name."""
    with serving(server := MailServer()):
        settings.EMAIL_BACKEND = SMTP
        settings.HINDCAST_HTTP_ALLOW = [f"127.0.0.1:{server.port}"]
        yield server


def own(server: MailServer, **more: Any) -> dict[str, Any]:
    return {"+a": {**MAIL, "host": "127.0.0.1", "port": server.port, "tls": False, **more}}


# --- the mail -----------------------------------------------------------------------------------------------------


def test_the_body_is_a_file_of_the_project_and_a_template(execute: Execute, server: MailServer, log_of: LogOf) -> None:
    document = {"+a": {**MAIL, "mail>": "texts/${which}.txt", "subject": "Rows of ${session_date} – ü"}}

    attempt = execute(document, files={"texts/done.txt": "Día: ${session_date}\n.\n"}, params={"which": "done"})

    (delivered,) = server.delivered
    message = delivered.message
    assert attempt.status == "success"
    assert (message["Subject"], message["From"], message["To"]) == (
        "Rows of 2026-03-01 – ü",
        "us@example.com",
        "ann@example.com",
    )
    assert message.get_content_type() == "text/plain"
    assert message.get_content().replace("\r\n", "\n").replace("\n..\n", "\n.\n") == "Día: 2026-03-01\n.\n"
    assert log_of(attempt) == "Mail to ann@example.com: Rows of 2026-03-01 – ü\n"


def test_recipients_are_one_or_a_list_and_hidden_ones_are_hidden(execute: Execute, server: MailServer) -> None:
    said = {"to": ["Ann Ä <ann@example.com>", "${other}"], "cc": "c@bücher.example", "bcc": ["hidden@example.org"]}

    execute({"+a": {**MAIL, **said}}, params={"other": "b@example.com"})

    (delivered,) = server.delivered
    assert delivered.sender == "us@example.com"
    assert delivered.recipients == ["ann@example.com", "b@example.com", "c@xn--bcher-kva.example", "hidden@example.org"]
    assert delivered.message["To"] == "Ann Ä <ann@example.com>, b@example.com"
    assert b"hidden" not in delivered.content


def test_html_and_a_secret_may_be_in_the_text(execute_with: Execute, server: MailServer, log_of: LogOf) -> None:
    document = {"+a": {**MAIL, "mail>": {"data": "<p>${secret:link}</p>"}, "html": True}}

    attempt = execute_with({"link": "https://s3cret.example"}, document)

    (delivered,) = server.delivered
    assert (delivered.message.get_content_type(), delivered.message.get_content().strip()) == (
        "text/html",
        "<p>https://s3cret.example</p>",
    )
    assert "s3cret" not in log_of(attempt) + str(list(TaskRun.objects.values()))


def test_files_are_attached_under_their_names_and_types(execute: Execute, server: MailServer) -> None:
    files = [
        {"path": "out/${session_date}.csv"},
        {"path": "out/b.bin", "filename": "Bücher.dat", "content_type": "application/x-rows"},
    ]
    make = "mkdir out && printf 'a,b\\n' > out/2026-03-01.csv && printf '\\0\\377' > out/b.bin"

    attempt = execute({"+make": {"sh>": make}, "+a": {**MAIL, "attach_files": files}})

    body, csv, rows = server.delivered[0].message.iter_parts()
    assert attempt.status == "success"
    assert body.get_content().strip() == "Hello"
    assert (csv.get_filename(), csv.get_content_type(), csv.get_content()) == (
        "2026-03-01.csv",
        "application/octet-stream",
        b"a,b\n",
    )
    assert (rows.get_filename(), rows.get_content_type(), rows.get_content()) == (
        "Bücher.dat",
        "application/x-rows",
        b"\0\xff",
    )


def test_settings_may_stand_in_the_section_of_export_and_the_sender_be_the_installations(
    execute: Execute, server: MailServer, settings: Any
) -> None:
    settings.DEFAULT_FROM_EMAIL = "Hindcast <house@example.com>"
    said = {"mail>": {"data": "x"}, "to": "ann@example.com"}
    document = {
        "_export": {"mail": {"subject": "of ${session_date}"}},
        "+a": said,
        "+b": {**said, "from": "b@x.example"},
    }

    execute(document, params={"from": "evil@example.com", "cc": "evil@example.com", "subject": "x"})

    first, second = server.delivered
    assert (first.sender, second.sender) == ("house@example.com", "b@x.example")
    assert (first.recipients, first.message["Subject"]) == (["ann@example.com"], "of 2026-03-01")


def test_a_mail_that_is_sent_again_can_be_seen_to_be_the_same(execute: Execute, server: MailServer) -> None:
    server.refuses = {"b@example.com"}

    execute({"+a": {**MAIL, "to": ["ann@example.com", "b@example.com"], "_retry": 1}, "+b": MAIL})

    ids = [delivered.message["Message-ID"] for delivered in server.delivered]
    assert (len(ids), len(set(ids))) == (2, 1)


def test_another_backend_of_django_sends_it_in_its_own_way(execute: Execute) -> None:
    execute({"+a": MAIL})

    (sent,) = mail.outbox
    assert (sent.subject, sent.body, sent.to) == ("Rows", "Hello", ["ann@example.com"])


# --- what keeps it from being sent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("to", "There is no to: address."),
        ("subject", "There is no subject:."),
        ("from", "There is no from: address, and the installation has none (DEFAULT_FROM_EMAIL)."),
    ],
)
def test_what_a_mail_needs_is_named(
    execute: Execute, server: MailServer, settings: Any, left_out: str, message: str
) -> None:
    settings.DEFAULT_FROM_EMAIL = ""

    attempt = execute({"+a": {key: value for key, value in MAIL.items() if key != left_out}})

    assert (attempt.reason["message"], server.delivered) == (message, [])


def test_without_a_mail_server_it_says_what_to_do(execute: Execute, settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = SMTP, ""

    attempt = execute({"+a": MAIL})

    assert attempt.reason["message"] == (
        "No mail server is configured. An administrator sets EMAIL_HOST; or the project has one of its own, with host: "
        "beside mail>, or the secret mail.host."
    )


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "/etc/passwd", "link", "folder/passwd", "folder", "pipe", "missing", "~/x", "a\0b", "."],
)
@pytest.mark.parametrize("said", ["body", "attached"])
def test_only_files_of_the_project_are_read(
    execute: Execute, server: MailServer, tmp_path: Path, name: str, said: str
) -> None:
    make = "ln -s /etc/passwd link && ln -s /etc folder && mkfifo pipe"
    more = {"mail>": name} if said == "body" else {"attach_files": [{"path": name}]}

    attempt = execute({"+make": {"sh>": make}, "+a": {**MAIL, **more}})

    assert (attempt.status, attempt.reason["task"], server.delivered) == ("error", "+wf+a", [])


def test_a_link_inside_the_project_is_followed(execute: Execute, server: MailServer) -> None:
    execute({"+make": {"sh>": "echo hi > real && ln -s real link"}, "+a": {**MAIL, "mail>": "link"}})

    assert server.delivered[0].message.get_content().strip() == "hi"


def test_files_that_are_too_large_are_refused(execute: Execute, server: MailServer) -> None:
    make = "truncate -s 15M a && truncate -s 6M b"
    files = [{"path": "a"}, {"path": "b"}]

    attempt = execute({"+make": {"sh>": make}, "+a": {**MAIL, "attach_files": files}})

    assert attempt.reason["message"] == "'b' has more than 5242880 bytes."


def test_a_file_that_a_task_wrote_reveals_no_secret(execute_with: Execute, server: MailServer) -> None:
    document = {"+make": {"sh>": "printf '$%s' '{secret:key}' > body.txt"}, "+a": {**MAIL, "mail>": "body.txt"}}

    attempt = execute_with({"key": "s3cret"}, document)

    assert (attempt.status, server.delivered) == ("error", [])


@pytest.mark.parametrize("text", ["x\nBcc: evil@example.com", "x\r\n\r\nevil", "x\rb", "x\u2028y", "x\x1by"])
@pytest.mark.parametrize("name", ["subject", "from", "to", "cc", "bcc"])
def test_a_line_break_in_a_header_is_refused(execute: Execute, server: MailServer, name: str, text: str) -> None:
    value = text if name == "subject" else f"ann@example.com{text}"

    attempt = execute({"+a": {**MAIL, name: "${x}"}}, params={"x": value})

    assert attempt.reason["message"].startswith(f"{name}: ")
    assert server.delivered == []


@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "ann@",
        "@example.com",
        "a@b.example, c@d.example",
        "a@b.example> RCPT TO:<evil@example.com",
        "Ann <a@b.example> <evil@example.com>",
        "<a@b.example",
        "--upload-pack=id",
        "",
    ],
)
def test_what_is_no_address_is_refused(execute: Execute, server: MailServer, address: str) -> None:
    attempt = execute({"+a": {**MAIL, "to": ["${x}"]}}, params={"x": address})

    assert attempt.reason["message"].startswith("to: has ")
    assert server.delivered == []


# --- the server ---------------------------------------------------------------------------------------------------


def test_it_logs_in_where_the_installation_says_so_and_the_password_shows_nowhere(
    execute: Execute, server: MailServer, settings: Any, log_of: LogOf
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "house", "h0use-password"

    attempt = execute({"+a": {**MAIL, "debug": True}})

    (login,) = server.logins
    assert base64.b64decode(login.removeprefix("PLAIN ")) == b"\0house\0h0use-password"
    assert "RCPT" in log_of(attempt).upper()
    assert login.removeprefix("PLAIN ") not in log_of(attempt)


def test_a_recipient_that_the_server_refuses_is_named(execute: Execute, server: MailServer) -> None:
    server.refuses = {"b@example.com"}

    some = execute({"+a": {**MAIL, "to": ["ann@example.com", "b@example.com"]}})
    none = execute({"+a": {**MAIL, "to": "b@example.com"}})

    assert some.reason["message"] == (
        "The mail was sent, but not to all. The server refused b@example.com: 550 nobody here."
    )
    assert none.reason["message"] == (
        f"The mail server 127.0.0.1:{server.port} took no recipient: b@example.com: 550 nobody here."
    )


def test_a_server_that_does_not_encrypt_gets_nothing_unless_it_need_not(
    execute: Execute, server: MailServer, settings: Any
) -> None:
    settings.EMAIL_USE_TLS, settings.EMAIL_HOST_USER = True, "house"

    attempt = execute({"+a": MAIL})

    assert attempt.reason["message"] == (
        f"The mail server 127.0.0.1:{server.port} does not encrypt (STARTTLS). If it need not, say tls: false."
    )
    assert (server.delivered, server.logins) == ([], [])


def test_a_server_that_says_nothing_is_not_waited_for(execute: Execute, server: MailServer) -> None:
    server.greets = False

    attempt = execute({"+a": {**MAIL, "socket_timeout": "1s"}})

    assert attempt.reason["message"].startswith(f"The mail server 127.0.0.1:{server.port} did not take the mail: ")
    assert attempt.reason["message"].endswith("timed out.")


def test_a_server_that_is_away_is_named(execute: Execute, settings: Any) -> None:
    with serving(gone := MailServer()):
        settings.EMAIL_BACKEND = SMTP
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", gone.port

    attempt = execute({"+a": MAIL})

    assert attempt.reason["message"] == f"127.0.0.1:{gone.port} cannot be reached: Connection refused."


def test_a_project_may_have_a_server_of_its_own(execute: Execute, own_server: MailServer) -> None:
    attempt = execute(own(own_server))

    assert (attempt.status, len(own_server.delivered), own_server.logins) == ("success", 1, [])


def test_and_name_it_by_secrets(execute_with: Execute, own_server: MailServer) -> None:
    named = {"host": "127.0.0.1", "port": str(own_server.port), "tls": "false", "username": "ann", "password": "s3cret"}

    attempt = execute_with({f"mail.{name}": value for name, value in named.items()}, {"+a": MAIL})

    assert (attempt.status, len(own_server.delivered)) == ("success", 1)
    assert base64.b64decode(own_server.logins[0].removeprefix("PLAIN ")) == b"\0ann\0s3cret"


def test_the_installations_password_never_reaches_it(
    execute: Execute, own_server: MailServer, server: MailServer, settings: Any
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "house", "h0use-password"

    execute({**own(own_server), "+b": own(own_server, username="ann")["+a"]})

    assert [base64.b64decode(login.removeprefix("PLAIN ")) for login in own_server.logins] == [b"\0ann\0"]
    assert server.delivered == []


def test_it_must_be_a_place_that_tasks_may_reach(execute: Execute, own_server: MailServer, settings: Any) -> None:
    settings.HINDCAST_HTTP_ALLOW = []

    private = execute({"+a": {**MAIL, "host": "127.0.0.1", "port": 25}})
    closed = execute({"+a": {**MAIL, "host": "mail.example.com", "port": 22}})
    hidden = execute({"+a": {**MAIL, "host": "${x}"}}, params={"x": "0x7f.1"})

    assert "127.0.0.1 is no public address" in private.reason["message"]
    assert "Port 22 is not open to tasks; 25, 465, 587, 2525 are" in closed.reason["message"]
    assert hidden.reason["message"] == "host: '0x7f.1' is not the usual form of an address."


def test_a_password_outside_the_secrets_is_refused(execute: Execute, own_server: MailServer) -> None:
    attempt = execute({"_export": {"mail": {"password": "${x}"}}, **own(own_server)}, params={"x": "s3cret"})

    assert attempt.reason["message"] == (
        "password: belongs into the secret mail.password, not into a file of the project."
    )
    assert own_server.delivered == []


def test_settings_of_a_server_without_one_are_refused(execute: Execute) -> None:
    attempt = execute({"+a": {**MAIL, "username": "ann"}})

    assert attempt.reason["message"] == "username: goes with a mail server of the project's own; say host:, too."


def test_a_server_that_encrypts_must_show_who_it_is(
    execute: Execute, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MailServer()
    settings.HINDCAST_HTTP_ALLOW = [f"127.0.0.1:{server.port}"]
    server.encrypt(certificate := make_certificate(tmp_path / "mail.pem"))

    with serving(server):
        stranger = execute(own(server, ssl=True))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        friend = execute(own(server, ssl=True))

    assert stranger.reason["message"].endswith("does not show who it is: self-signed certificate.")
    assert (friend.status, len(server.delivered)) == ("success", 1)


# --- when it is pushed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("subjet: x", "subjet: is no setting of mail>; did you mean subject:?"),
        ("subject: [x]", "subject: is a text, not a list."),
        ('subject: "a\\nb"', "subject: has a line break or another control character in it."),
        ("to: ann", "to: has 'ann', which is no address, such as ann@example.com."),
        ("to: []", "to: has 0 addresses; 1 to 100 are possible."),
        ("cc: {a: b}", "cc: is a text, not a mapping."),
        ("html: maybe", "html: is true or false, not 'maybe'."),
        ("attach_files: data.csv", "attach_files: is a list of up to 50 files"),
        ("attach_files: [data.csv]", "attach_files: has a path: in each entry"),
        ("attach_files: [{path: a, name: b}]", "attach_files: has a path: in each entry"),
        ("attach_files: [{path: a, filename: b/c}]", "attach_files: filename: has a slash in it."),
        (
            "attach_files: [{path: a, content_type: x}]",
            "attach_files: content_type: is a type such as text/csv, not 'x'.",
        ),
        ("port: 0", "port: is a number from 1 to 65535, not '0'."),
        ("host: 'a b'", "host: 'a b' is not the name of a host."),
        ("socket_timeout: 2h", "socket_timeout: is a duration of up to 10 minutes, such as 30s, not '2h'."),
        ("password: x", "password: belongs into the secret mail.password, not into a file of the project."),
    ],
)
def test_wrong_settings_are_refused_when_they_are_pushed(said: str, problem: str) -> None:
    (refusal,) = refusals(f"+a:\n  mail>: body.txt\n  {said}")

    assert problem in refusal


@pytest.mark.parametrize("body", ["", "[a]", "{text: a}", "{data: [a]}", "{data: a, file: b}", "3"])
def test_a_body_that_is_neither_file_nor_text_is_refused_when_it_is_pushed(body: str) -> None:
    (refusal,) = refusals(f"+a: {{mail>: {body}, subject: x, to: a@b.example}}")

    assert "mail>: takes a file with the body, such as body.txt, or its text as {data: text}" in refusal


def test_what_only_the_run_can_tell_is_left_to_it() -> None:
    said = "subject: '${s}', to: ['${t}'], from: '${f}', html: '${h}', port: '${p}', attach_files: [{path: '${a}'}]"

    assert refusals(f"+a: {{mail>: '${{b}}.txt', {said}}}") == []
