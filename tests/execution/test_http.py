"""`http>` against a web site of the test's own."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from scheduler import attempts
from scheduler.execution.drain import drain
from scheduler.execution.operators import errand
from scheduler.models import Attempt, Lane, TaskRun
from tests.execution.outside import Answer, Asked, Site, make_certificate, serving

pytestmark = pytest.mark.django_db

Execute = Callable[..., Attempt]
LogOf = Callable[[Attempt], str]


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    """A site that tasks may reach."""
    site = Site()
    settings.HINDCAST_HTTP_ALLOW = [site.place]
    with serving(site):
        yield site


def ask(site: Site, path: str = "/", **settings: Any) -> dict[str, Any]:
    """A document of one request."""
    return {"+a": {"http>": f"{site.url}{path}", **settings}}


def status(*codes: int) -> Callable[[Asked], Answer]:
    """Each request gets the next of them."""
    left = list(codes)
    return lambda asked: Answer(left.pop(0))


# --- what is sent -------------------------------------------------------------------------------------------------


def test_a_request_is_a_get_with_the_variables_of_the_workflow_in_its_url(execute: Execute, site: Site) -> None:
    attempt = execute(ask(site, "/data/${session_date}?x=${x}&y=ü z"), params={"x": "a"})

    (asked,) = site.asked
    assert attempt.status == "success"
    assert (asked.method, asked.target, asked.body) == ("GET", "/data/2026-03-01?x=a&y=%C3%BC%20z", b"")
    assert (asked.headers["host"], asked.headers["user-agent"]) == (site.place, "Hindcast")


@pytest.mark.parametrize(
    ("said", "content_type", "body"),
    [
        ({"content": "at ${session_date}"}, "text/plain", "at 2026-03-01"),
        ({"content": 12}, "text/plain", "12"),
        ({"content": {"day": "${session_date}", "n": [1]}}, "application/json", '{"day": "2026-03-01", "n": [1]}'),
        ({"content": [True, None]}, "application/json", "[true, null]"),
        ({"content": "é", "content_format": "json"}, "application/json", '"é"'),
        (
            {"content": {"a": "b c", "d": ["e", "f&g"]}, "content_format": "form"},
            "application/x-www-form-urlencoded",
            "a=b+c&d=e&d=f%26g",
        ),
        ({"content": "<a/>", "content_type": "application/xml"}, "application/xml", "<a/>"),
        ({"content": {}, "content_type": "application/ld+json"}, "application/ld+json", "{}"),
    ],
)
def test_content_is_sent_in_its_format(
    execute: Execute, site: Site, said: dict[str, Any], content_type: str, body: str
) -> None:
    attempt = execute(ask(site, method="post", **said))

    (asked,) = site.asked
    assert attempt.status == "success"
    assert (asked.method, asked.headers["content-type"], asked.body.decode()) == ("POST", content_type, body)


def test_headers_and_query_are_sent_as_they_are_listed(execute: Execute, site: Site) -> None:
    headers = [{"X-Day": "${session_date}"}, {"X-Two": 1}, {"X-Two": "Ω"}, {"user-agent": "ours"}]
    execute(
        {
            "+a": ask(site, headers=headers, query={"q": "${session_date}", "r": ["1 2", 3]})["+a"],
            "+b": ask(site, "/?z=1#part", query="q=a b&r=")["+a"],
        }
    )

    first, second = site.asked
    assert [value for name, value in first.header_list if name.startswith("X-")] == [
        "2026-03-01",
        "1",
        "Ω".encode().decode("latin-1"),
    ]
    assert [value for name, value in first.header_list if name.lower() == "user-agent"] == ["ours"]
    assert (first.target, second.target) == ("/?q=2026-03-01&r=1+2&r=3", "/?z=1&q=a+b&r=")


def test_settings_may_stand_in_the_section_of_export(execute: Execute, site: Site) -> None:
    headers = [{"X-Day": "${session_date}"}]
    document = {
        "_export": {"http": {"headers": headers, "method": "PUT"}},
        "+g": {"_export": {"http": {"method": "PATCH"}}, "+a": ask(site)["+a"]},
        "+b": ask(site, method="DELETE")["+a"],
    }

    attempt = execute(document)

    assert attempt.status == "success"
    assert [(asked.method, asked.headers["x-day"]) for asked in site.asked] == [
        ("PATCH", "2026-03-01"),
        ("DELETE", "2026-03-01"),
    ]


def test_parameters_of_an_attempt_are_no_settings(execute: Execute, site: Site) -> None:
    execute(ask(site), params={"method": "DELETE", "content": "x", "http": {"method": "DELETE"}})

    assert [(asked.method, asked.body) for asked in site.asked] == [("GET", b"")]


def test_a_request_that_changes_something_says_which_it_is_each_time_it_is_made(execute: Execute, site: Site) -> None:
    site.answer = status(503, 200, 200, 200)

    execute(
        {"+a": ask(site, method="POST", retry=True)["+a"], "+b": ask(site, method="PUT")["+a"], "+c": ask(site)["+a"]}
    )

    first, again, other, get = [asked.headers.get("idempotency-key") for asked in site.asked]
    assert first
    assert (first, get) == (again, None)
    assert other not in (first, None)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"method": "${x}"}, "method: is GET, HEAD, OPTIONS, TRACE, POST, PUT, PATCH or DELETE, not 'oops'."),
        ({"timeout": "${x}"}, "timeout: is a number of seconds above 0 and up to 3600, not 'oops'."),
        ({"content": {}, "content_format": "${x}"}, "content_format: is text, json or form, not 'oops'."),
        ({"store_content": "${x}"}, "store_content: is true or false, not 'oops'."),
    ],
)
def test_a_setting_that_turns_out_wrong_is_refused_then(
    execute: Execute, site: Site, said: dict[str, Any], message: str
) -> None:
    attempt = execute(ask(site, **said), params={"x": "oops"})

    assert (attempt.reason["message"], site.asked) == (message, [])


# --- secrets ------------------------------------------------------------------------------------------------------


def test_user_and_password_are_secrets(execute_with: Execute, site: Site) -> None:
    execute_with({"http.user": "ann", "http.password": "s3cret:ü"}, ask(site))

    assert site.asked[0].headers["authorization"] == "Basic YW5uOnMzY3JldDrDvA=="


def test_an_authorization_is_a_secret_and_one_of_the_task_s_own_wins(execute_with: Execute, site: Site) -> None:
    document = {"+a": ask(site)["+a"], "+b": ask(site, headers=[{"authorization": "Bearer ${secret:other}"}])["+a"]}

    execute_with({"http.authorization": "Bearer 12345678", "http.user": "ann", "other": "87654321"}, document)

    assert [asked.headers["authorization"] for asked in site.asked] == ["Bearer 12345678", "Bearer 87654321"]


def test_secrets_may_stand_in_url_headers_query_and_content_and_show_nowhere(
    execute_with: Execute, site: Site, log_of: LogOf
) -> None:
    site.answer = lambda asked: Answer(401, b"no such key: s3cr+t/key")
    settings = {
        "headers": [{"X-Key": "${secret:key}"}],
        "query": {"key": "${secret:key}"},
        "content": {"key": ["${secret:key}"]},
        "method": "POST",
    }

    attempt = execute_with({"key": "s3cr+t/key"}, ask(site, "/${secret:key}", **settings))

    (asked,) = site.asked
    assert asked.target == "/s3cr+t/key?key=s3cr%2Bt%2Fkey"
    assert (asked.headers["x-key"], json.loads(asked.body)) == ("s3cr+t/key", {"key": ["s3cr+t/key"]})
    kept = json.dumps(list(TaskRun.objects.values("config", "error", "store_params", "state_params")), default=str)
    for text in (log_of(attempt), str(attempt.reason), kept):
        assert "s3cr" not in text
    assert attempt.reason["message"] == f"POST {site.url}/…: 401 Unauthorized."


def test_the_whole_url_may_be_a_secret(execute_with: Execute, site: Site, log_of: LogOf) -> None:
    attempt = execute_with({"http.uri": f"{site.url}/hooks/T0001"}, {"+a": {"http>": None}})

    assert (attempt.status, site.asked[0].target) == ("success", "/hooks/T0001")
    assert "T0001" not in log_of(attempt)


def test_no_url_at_all_is_an_error(execute: Execute) -> None:
    attempt = execute({"+a": {"http>": None}})

    assert attempt.reason["message"] == "There is no URL beside http>:, and the project has no secret http.uri."


def test_a_secret_that_is_not_there_is_named(execute: Execute, site: Site) -> None:
    attempt = execute(ask(site, headers=[{"X-Key": "${secret:api.key}"}]))

    assert attempt.reason["message"] == "The project has no secret 'api.key'."
    assert site.asked == []


def test_a_value_that_looks_like_a_reference_reveals_nothing(execute_with: Execute, site: Site) -> None:
    execute_with({"key": "s3cret"}, ask(site, content="${x}", method="POST"), params={"x": "${secret:key}"})

    assert site.asked[0].body == b"${secret:key}"


# --- what comes back ----------------------------------------------------------------------------------------------


def test_status_and_content_are_there_for_later_tasks(execute: Execute, site: Site, log_of: LogOf) -> None:
    site.answer = lambda asked: Answer(201, b'{"rows": 3}')
    document = {**ask(site, store_content=True), "+b": {"echo>": "${http.last_status} ${http.last_content}"}}

    attempt = execute(document)

    assert log_of(attempt) == f'GET {site.url}/\n201 Created, 11 bytes\n201 {{"rows": 3}}\n'


def test_content_that_was_kept_stays_until_another_is_kept(execute: Execute, site: Site, log_of: LogOf) -> None:
    site.answer = lambda asked: Answer(202 if asked.method == "POST" else 200, asked.method.encode())
    document = {
        "_export": {"http": {"timeout": 10}},
        "+a": ask(site, store_content=True)["+a"],
        "+b": ask(site, method="POST")["+a"],
        "+c": {"echo>": "${http.last_status} ${http.last_content}"},
    }

    attempt = execute(document)

    assert log_of(attempt).endswith("202 GET\n")


def test_content_is_read_in_the_encoding_it_says(execute: Execute, site: Site, log_of: LogOf) -> None:
    site.answer = lambda asked: Answer(200, "Zürich\0".encode("latin-1"), {"Content-Type": "text/csv; charset=latin-1"})

    attempt = execute({**ask(site, store_content=True), "+b": {"echo>": "${http.last_content}"}})

    assert log_of(attempt).endswith("Zürich\n")


@pytest.mark.parametrize("code", [400, 401, 404, 410, 422])
def test_an_error_of_ours_fails_at_once_with_what_was_said(
    execute: Execute, site: Site, log_of: LogOf, code: int
) -> None:
    site.answer = lambda asked: Answer(code, b"what you asked is wrong")

    attempt = execute(ask(site, retry=True))

    assert (attempt.status, attempt.reason["http_status"], len(site.asked)) == ("error", code, 1)
    assert log_of(attempt).endswith("\nwhat you asked is wrong\n")


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_an_error_of_theirs_is_tried_again_a_little_later(
    execute: Execute, site: Site, log_of: LogOf, code: int
) -> None:
    site.answer = status(code, 200)

    attempt = execute(ask(site))

    assert (attempt.status, len(site.asked)) == ("success", 2)
    assert "Once more in 1 s." in log_of(attempt)


def test_the_second_wait_is_longer_and_holds_no_worker(execute: Execute, site: Site) -> None:
    site.answer = status(503, 503)

    attempt = execute(ask(site))

    task = TaskRun.objects.get(attempt=attempt, position=1)
    assert (attempt.status, task.state, task.state_params["tries"]) == ("queued", "retry_waiting", 2)
    assert timedelta(seconds=1.5) < task.retry_at - task.updated_at <= timedelta(seconds=2)


@pytest.mark.parametrize(("asked", "seconds"), [("90", 90), ("99999", 3600), ("0", 1), ("soon", 1), ("٣", 1)])
def test_a_server_is_given_the_time_it_asks_for(
    execute: Execute, site: Site, log_of: LogOf, asked: str, seconds: int
) -> None:
    left = [Answer(429, headers={"Retry-After": asked.encode().decode("latin-1")}), Answer()]
    site.answer = lambda _: left.pop(0)

    attempt = execute(ask(site))

    assert f"Once more in {seconds} s." in log_of(attempt)


def test_what_changes_something_is_not_tried_again_unless_it_may_be(execute: Execute, site: Site) -> None:
    site.answer = status(503, 503, 200)

    refused = execute(ask(site, method="POST"))
    tried = execute(ask(site, method="POST", retry=True))

    assert (refused.status, refused.reason["http_status"], tried.status) == ("error", 503, "success")


def test_a_get_that_must_not_be_tried_again_is_not(execute: Execute, site: Site) -> None:
    site.answer = status(503)

    assert execute(ask(site, retry=False)).status == "error"


def test_a_server_that_is_away_is_tried_for_an_hour(
    execute: Execute, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise errand.Away("It is away.")

    monkeypatch.setattr(errand, "run", away)
    attempt = execute(ask(site))  # once more after a second, and then it waits for two
    waiting = TaskRun.objects.get(attempt=attempt, position=1)
    began = timezone.now() - timedelta(hours=1)
    kept = {**waiting.state_params, "since": began.isoformat(), "tries": 121}
    TaskRun.objects.filter(pk=waiting.pk).update(state_params=kept, retry_at=began)
    Attempt.objects.filter(pk=attempt.pk).update(released_at=began)

    drain(Lane.MANUAL)

    attempt.refresh_from_db()
    assert attempt.reason["message"] == f"GET {site.url}/: It is away. It was tried 122 times in an hour."


def test_a_server_that_is_away_is_named(execute: Execute, settings: Any) -> None:
    with serving(site := Site()):
        settings.HINDCAST_HTTP_ALLOW = [site.place]

    attempt = execute(ask(site, retry=False))

    assert attempt.reason["message"] == f"GET {site.url}/: {site.place} cannot be reached: Connection refused."


def test_an_answer_that_takes_too_long_is_not_waited_for(execute: Execute, site: Site) -> None:
    site.answer = site.hang

    attempt = execute(ask(site, timeout=0.5, retry=False))

    assert attempt.reason["message"] == f"GET {site.url}/: It took longer than 0.5 s."


# --- redirects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "method", "then"),
    [
        (301, "POST", ("GET", b"", None)),
        (302, "POST", ("GET", b"", None)),
        (303, "PUT", ("GET", b"", None)),
        (307, "POST", ("POST", b"x", "text/plain")),
        (308, "PUT", ("PUT", b"x", "text/plain")),
        (302, "HEAD", ("HEAD", b"x", "text/plain")),
    ],
)
def test_a_redirect_is_followed_as_http_has_it(
    execute: Execute, site: Site, code: int, method: str, then: tuple[str, bytes, str | None]
) -> None:
    site.answer = lambda asked: Answer(code, headers={"Location": "b?c=d"}) if asked.target == "/a/" else Answer()

    attempt = execute(ask(site, "/a/", method=method, content="x"))

    _, asked = site.asked
    assert (attempt.status, asked.target) == ("success", "/a/b?c=d")
    assert (asked.method, asked.body, asked.headers.get("content-type")) == then


def test_a_redirect_may_be_the_answer(execute: Execute, site: Site, log_of: LogOf) -> None:
    site.answer = lambda asked: Answer(302, headers={"Location": "/b"})

    attempt = execute({**ask(site, follow_redirects=False), "+b": {"echo>": "${http.last_status}"}})

    assert (attempt.status, len(site.asked), log_of(attempt)[-4:]) == ("success", 1, "302\n")


# --- TLS ----------------------------------------------------------------------------------------------------------


def test_a_site_must_show_who_it_is(
    execute: Execute, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site()
    settings.HINDCAST_HTTP_ALLOW = [site.place]
    site.encrypt(certificate := make_certificate(tmp_path / "site.pem"))

    with serving(site):
        stranger = execute(ask(site))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        friend = execute(ask(site))

    assert stranger.reason["message"] == f"{site.url} does not show who it is: self-signed certificate."
    assert (friend.status, len(site.asked)) == ("success", 1)


# --- its end ------------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_kill_ends_a_request_that_goes_on(start_worker: Callable[..., Any], start: Execute, wait_until: Any) -> None:
    with serving(site := Site()):
        site.answer = site.hang
        start_worker(HINDCAST_HTTP_ALLOW=site.place)
        attempt = start(ask(site, timeout=600))
        wait_until(lambda: site.asked)

        attempts.kill(attempt.pk, now=timezone.now())

        wait_until(lambda: Attempt.objects.get(pk=attempt.pk).status == "killed", 15)
