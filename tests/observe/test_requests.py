import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import structlog
from django.conf import settings
from django.test import Client

from scheduler.execution import drain
from scheduler.models import Attempt, AttemptStatus, Lane, Schedule
from scheduler.wsgi import application


@pytest.fixture
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """The lines of the log as JSON, in the product's own form."""
    lines: list[dict[str, Any]] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(self.format(record)))

    given = settings.LOGGING["formatters"]["structured"]
    plain, rendered = structlog.dev.ConsoleRenderer, structlog.processors.JSONRenderer()
    renderers = [rendered if isinstance(step, plain) else step for step in given["processors"]]
    handler = Collect()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=renderers, foreign_pre_chain=given["foreign_pre_chain"])
    )
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


def test_a_sane_request_id_is_kept(client: Client) -> None:
    assert client.get("/livez", headers={"X-Request-ID": "proxy-7f.1_b"})["X-Request-ID"] == "proxy-7f.1_b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 101, "<script>", "a\u00e9"])
def test_any_other_request_id_is_replaced(client: Client, given: str) -> None:
    answer = client.get("/livez", headers={"X-Request-ID": given})

    assert answer["X-Request-ID"] != given
    assert len(answer["X-Request-ID"]) == 32


def test_log_lines_of_a_request_name_it(client: Client, db: None, log_lines: list[dict[str, Any]]) -> None:
    client.get("/api/nowhere", headers={"X-Request-ID": "proxy-1"})
    client.get("/nowhere", headers={"X-Request-ID": "proxy-2"})

    assert {line["request_id"] for line in log_lines if "nowhere" in line["event"]} == {"proxy-1", "proxy-2"}
    assert "request_id" not in structlog.contextvars.get_contextvars()


def test_log_lines_while_an_attempt_runs_name_it(
    schedule: Schedule,
    make_attempt: Callable[..., Attempt],
    log_lines: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus.QUEUED)
    log = structlog.get_logger("test")
    monkeypatch.setattr(drain, "run", lambda lease, clock: log.warning("something_happened"))

    drain.drain(Lane.SCHEDULED)
    log.warning("afterwards")

    happened, afterwards = (line for line in log_lines if line["logger"] == "test")
    assert (happened["event"], happened["attempt"]) == ("something_happened", attempt.pk)
    assert "attempt" not in afterwards


# --- texts that cannot be decoded, and failures ---------------------------------------------------------------


def ask(path: str, content_type: str) -> tuple[str, dict[str, str], bytes]:
    """The answer of the WSGI application itself: the test client makes requests of its own."""
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": "a=%ff", "CONTENT_TYPE": content_type}
    setup_testing_defaults(environ)
    told: list[Any] = []
    body = application(environ, lambda status, headers, *_: told.extend((status, dict(headers))))  # type: ignore[arg-type, return-value]
    content = b"".join(body)
    close = getattr(body, "close", None)
    if close:
        close()
    return told[0], told[1], content


@pytest.mark.parametrize("charset", ["bz2_codec", "rot13", "idna", "utf-16", "unicode_escape", "a\0b"])
def test_a_charset_that_is_no_text_is_refused_as_json_under_the_api(charset: str) -> None:
    status, headers, content = ask("/api/schedules", f"application/json; charset={charset}")

    assert status.startswith("415 ")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(content) == {"message": "The charset of the body must be UTF-8.", "status": 415}


def test_a_charset_that_is_no_text_is_refused_elsewhere_in_words() -> None:
    status, _, content = ask("/livez", "text/plain; charset=bz2_codec")

    assert status.startswith("415 ")
    assert content == b"The charset of the body must be UTF-8."


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", "us-ascii", "latin-1", "no-such-thing", ""])
def test_other_charsets_are_let_in(charset: str, transactional_db: None) -> None:
    assert ask("/livez", f"a/b; charset={charset}")[0] == "200 OK"


def test_an_unexpected_failure_of_the_api_is_json_without_details(
    client: Client, api_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("scheduler.api.views.schedules", broken)
    client.raise_request_exception = False

    answer = client.get("/api/schedules", headers={"Authorization": f"TD1 {api_key}"})

    assert answer.status_code == 500
    assert answer.json().keys() == {"message", "status"}
    assert b"secret detail" not in answer.content
    assert answer["X-Request-ID"]
