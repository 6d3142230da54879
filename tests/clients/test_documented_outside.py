"""The examples of Digdag's pages on http> and mail>, written anew, against a site and a mail server of our own."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from projects import secrets
from projects.models import Revision
from scheduler import starting
from scheduler.models import Attempt, LogChunk
from tests.clients.to_the_end import run_to_the_end
from tests.execution.outside import Answer, MailServer, Site, serving

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    with serving(site := Site()):
        settings.HINDCAST_HTTP_ALLOW = [site.place]
        yield site


@pytest.fixture
def post(settings: Any) -> Iterator[MailServer]:
    """The mail server that projects may name."""
    with serving(server := MailServer()):
        settings.HINDCAST_HTTP_ALLOW = [f"127.0.0.1:{server.port}"]
        yield server


@pytest.fixture
def run(push: Callable[..., Revision], write: Callable[..., str]) -> Callable[..., Attempt]:
    """run({"a.dig": "…"}, secrets={"key": "value"}): the attempt of the one workflow, at its end."""

    def make(files: dict[str, str], kept: dict[str, str] | None = None) -> Attempt:
        definition = push(write(files)).definitions.get()
        for key, value in (kept or {}).items():
            secrets.put(project_id=definition.workflow.project_id, key=key, value=value, now=AT)
        attempt = starting.start(definition_id=definition.pk, session_time=AT, now=datetime.now(UTC))
        run_to_the_end(attempt)
        return attempt

    return make


def log_of(attempt: Attempt) -> str:
    return "".join(LogChunk.objects.filter(attempt=attempt).order_by("pk").values_list("text", flat=True))


# --- http> --------------------------------------------------------------------------------------------------------

FETCH = """\
+fetch:
  http>: SITE/boats
  store_content: true
+process:
  for_each>:
    boat: ${http.last_content}
  _do:
    echo>: ${boat}
"""
NOTIFY = """\
+notify:
  http>: SITE/sessions/${session_uuid}
  method: POST
  content:
    status: RUNNING
    time: ${session_time}
"""
XML = """\
+notify:
  http>: SITE/notifications
  method: PUT
  content: |
    <?xml version="1.0" encoding="UTF-8"?>
    <notification>
      <time>${session_time}</time>
    </notification>
  content_format: text
  content_type: application/xml
  headers:
    - Accept: application/json
    - X-Boat: Ana
  timeout: 20
"""
AWAY = """\
+a:
  http>: SITE/away
  method: POST
  retry: true
+b:
  http>: SITE/wrong
  _error:
    echo>: told
"""


def test_what_was_fetched_is_worked_on(run: Callable[..., Attempt], site: Site) -> None:
    site.answer = lambda asked: Answer(body=b'["Ana", "Rui"]')

    attempt = run({"fetch.dig": FETCH.replace("SITE", site.url)})

    assert (attempt.status, attempt.reason, site.asked[0].method) == ("success", {}, "GET")
    assert log_of(attempt).splitlines()[-2:] == ["Ana", "Rui"]


def test_others_are_notified(run: Callable[..., Attempt], site: Site) -> None:
    attempt = run({"notify.dig": NOTIFY.replace("SITE", site.url)})

    (asked,) = site.asked
    assert (attempt.status, asked.method, asked.target) == ("success", "POST", f"/sessions/{attempt.session.uuid}")
    assert json.loads(asked.body) == {"status": "RUNNING", "time": "2026-03-02T00:00:00+00:00"}
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("content", "content_type", "body"),
    [
        ("content: 'hello world'", "text/plain", "hello world"),
        ("content: '${session_time}'", "text/plain", "2026-03-02T00:00:00+00:00"),
        ("content: 'hello @ ${session_date}'\n  content_format: text", "text/plain", "hello @ 2026-03-02"),
        ("content: {n: 1}\n  content_format: json", "application/json", '{"n": 1}'),
        ("content: {n: 1}\n  content_format: form", "application/x-www-form-urlencoded", "n=1"),
    ],
)
def test_content_has_the_documented_formats(
    run: Callable[..., Attempt], site: Site, content: str, content_type: str, body: str
) -> None:
    attempt = run({"send.dig": f"+a:\n  http>: {site.url}/\n  method: POST\n  {content}\n"})

    assert attempt.reason == {}
    (asked,) = site.asked
    assert (asked.headers["content-type"].partition(";")[0], asked.body.decode()) == (content_type, body)


def test_types_and_headers_are_those_of_the_author(run: Callable[..., Attempt], site: Site) -> None:
    attempt = run({"notify.dig": XML.replace("SITE", site.url)})

    assert attempt.reason == {}
    (asked,) = site.asked
    assert (asked.method, asked.headers["content-type"]) == ("PUT", "application/xml")
    assert (asked.headers["accept"], asked.headers["x-boat"]) == ("application/json", "Ana")
    assert b"<time>2026-03-02T00:00:00+00:00</time>" in asked.body


def test_what_is_away_is_tried_again_and_what_is_wrong_is_not(run: Callable[..., Attempt], site: Site) -> None:
    statuses = iter([503, 429, 200, 404])
    site.answer = lambda asked: Answer(next(statuses))

    attempt = run({"away.dig": AWAY.replace("SITE", site.url)})

    assert [asked.target for asked in site.asked] == ["/away", "/away", "/away", "/wrong"]
    assert (attempt.status, log_of(attempt).splitlines()[-1]) == ("error", "told")


@pytest.mark.parametrize(
    ("kept", "authorization"),
    [
        ({"http.authorization": "Bearer t0ken-of-ours"}, "Bearer t0ken-of-ours"),
        (
            {"http.user": "ann", "http.password": "correct horse"},
            f"Basic {base64.b64encode(b'ann:correct horse').decode()}",
        ),
    ],
)
def test_secrets_authorize_and_are_not_in_the_log(
    run: Callable[..., Attempt], site: Site, kept: dict[str, str], authorization: str
) -> None:
    attempt = run({"fetch.dig": f"+a:\n  http>: {site.url}/data\n"}, kept)

    assert (attempt.reason, site.asked[0].headers["authorization"]) == ({}, authorization)
    assert not [value for value in kept.values() if value in log_of(attempt)]


def test_the_address_can_be_a_secret(run: Callable[..., Attempt], site: Site) -> None:
    attempt = run({"fetch.dig": "+a:\n  http>:\n"}, {"http.uri": f"{site.url}/hidden/place"})

    assert (attempt.reason, site.asked[0].target) == ({}, "/hidden/place")
    assert "/hidden/place" not in log_of(attempt)


# --- mail> --------------------------------------------------------------------------------------------------------

MAIL = """\
_export:
  mail:
    from: "harbour@example.com"
    host: 127.0.0.1
    port: PORT
    tls: false

+started:
  mail>: body.txt
  subject: workflow started
  to: [ann@example.com]
  cc: [rui@example.com, eva@example.com]
+embedded:
  mail>:
    data: this is the day ${session_date}
  subject: workflow of ${session_date}
  to: [ann@example.com]
  bcc: [hidden@example.com]
  html: true
+attached:
  mail>: {data: "with files"}
  subject: files
  to: [ann@example.com]
  attach_files:
    - path: data.csv
    - path: data.csv
      filename: catch.csv
      content_type: text/csv
+might_fail:
  sh>: ./might_fail.sh
  _error:
    mail>: body.txt
    subject: this workflow failed
    to: [ann@example.com]
"""


def test_mails_are_sent_from_files_and_from_the_workflow(run: Callable[..., Attempt], post: MailServer) -> None:
    files = {
        "mails.dig": MAIL.replace("PORT", str(post.port)),
        "body.txt": "Session ${session_time}\n",
        "data.csv": "boat,kilos\n",
        "might_fail.sh": "#!/bin/sh\nexit 1\n",
    }

    attempt = run(files, {"mail.username": "harbour", "mail.password": "correct horse"})

    assert (attempt.status, attempt.reason["message"]) == ("error", "The command ended with exit code 1.")
    started, embedded, attached, failed = post.delivered
    assert started.message["From"] == "harbour@example.com"
    assert started.recipients == ["ann@example.com", "rui@example.com", "eva@example.com"]
    assert started.message.get_content().strip() == "Session 2026-03-02T00:00:00+00:00"
    assert (embedded.message["Subject"], embedded.message.get_content_type()) == ("workflow of 2026-03-02", "text/html")
    assert embedded.recipients == ["ann@example.com", "hidden@example.com"]
    assert "hidden" not in embedded.content.decode()
    assert [(part.get_filename(), part.get_content_type()) for part in attached.message.iter_attachments()] == [
        ("data.csv", "application/octet-stream"),
        ("catch.csv", "text/csv"),
    ]
    assert failed.message["Subject"] == "this workflow failed"
    assert len(post.logins) == 4
    assert "correct horse" not in log_of(attempt)
