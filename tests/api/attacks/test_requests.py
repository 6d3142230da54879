"""Requests in great numbers, for hosts that are not ours, with other people's tokens; and files that mean harm."""

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from threading import Barrier
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from projects.models import Project, Revision
from scheduler.models import Schedule
from scheduler.wsgi import application
from tests.api.attacks.world import Address, Owned, addresses, tgz

Untouched = Callable[[], AbstractContextManager[None]]
Quickly = Callable[[], AbstractContextManager[None]]

PAGES = [page for page in addresses("/") if not page.pattern.startswith(("/api/", "/admin/", "/metrics"))]
NO_FORM = {"healthz", "livez"}
FIFTY, TEN = 50, 10


def named(address: Address) -> str:
    return address.pattern


# --- in great numbers -------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_fifty_requests_at_once_exactly_as_many_pass_as_may(api_key: str, schedule: Schedule, settings: Any) -> None:
    settings.HINDCAST_REQUESTS_PER_MINUTE = TEN
    barrier = Barrier(FIFTY, timeout=30)

    def ask(_: int) -> Any:
        barrier.wait()
        try:
            return Client(headers={"Authorization": f"TD1 {api_key}"}).get("/api/schedules")
        finally:
            connection.close()

    with ThreadPoolExecutor(FIFTY) as pool:
        answers = list(pool.map(ask, range(FIFTY)))

    assert Counter(answer.status_code for answer in answers) == {200: TEN, 429: FIFTY - TEN}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["status"] == 429
            assert 1 <= int(answer["Retry-After"]) <= 60


def test_a_user_has_his_number_of_requests_in_a_minute_over_all_of_his_keys(
    make_api: Any, make_user: Callable[..., User], settings: Any, now: Any
) -> None:
    settings.HINDCAST_REQUESTS_PER_MINUTE = 3
    ann, bob = make_user("ann"), make_user("bob")
    keys = [make_api(ann), make_api(ann)]

    answers = [keys[number % 2].get("schedules").status_code for number in range(5)]

    assert answers == [200, 200, 200, 429, 429]
    assert make_api(bob).get("schedules").status_code == 200
    assert keys[0].get("version").status_code == 200
    with time_machine.travel(now + timedelta(seconds=60), tick=False):
        assert keys[1].get("schedules").status_code == 200


def test_without_a_number_set_no_request_is_counted(api: Any, django_assert_num_queries: Any) -> None:
    api.get("schedules")  # notes the use of the key

    with django_assert_num_queries(2):
        api.get("schedules")


# --- for hosts that are not ours ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:8000", "127.0.0.1.evil.test", "testserver@evil.test", "a b", "[::2]"]
)
def test_a_host_that_is_not_ours_is_refused_everywhere(
    mine: Owned, visitor: Client, untouched: Untouched, host: str
) -> None:
    with untouched():
        for address in addresses("/"):
            values = {**mine.of_pages(), **mine.of_admin(address.pattern), **mine.of_api(address.pattern + "//")}
            for method in ("GET", "POST"):
                answer = visitor.generic(method, address.filled(values), HTTP_HOST=host)

                assert answer.status_code == 400, (method, address)
                assert b"evil" not in answer.content
                if address.pattern.startswith("/api/"):
                    assert answer.json()["status"] == 400


def test_a_host_that_a_header_of_a_proxy_names_is_not_believed(visitor: Client) -> None:
    answer = visitor.get(
        "/admin", headers={"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https", "X-Host": "evil.test"}
    )

    assert "evil" not in answer["Location"]
    assert not answer.wsgi_request.is_secure()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.test/livez", "400 Bad Request"),
        ("https://evil.test:8000/livez", "400 Bad Request"),
        ("HTTP://127.0.0.1@evil.test/livez", "400 Bad Request"),
        ("http:///livez", "400 Bad Request"),
        ("http://127.0.0.1/livez", "200 OK"),
        ("/livez?next=http://evil.test/", "200 OK"),
    ],
)
def test_a_host_in_the_request_line_counts_for_the_one_in_the_header(target: str, status: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    environ: dict[str, Any] = {"PATH_INFO": "/livez", "RAW_URI": target, "HTTP_HOST": "127.0.0.1"}
    setup_testing_defaults(environ)
    answered: list[str] = []

    b"".join(application(environ, lambda line, headers, *_: answered.append(line)))  # type: ignore[arg-type, func-returns-value]

    assert answered == [status]


# --- forms that others send ----------------------------------------------------------------------------------------


@pytest.fixture
def browser(attacker: User) -> Client:
    """Signed in, in a browser that holds us to our own rules."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(attacker)
    return client


def token_of(client: Client) -> str:
    page = client.get("/login").content.decode() or client.get("/admin/password_change/").content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page) or re.search(r'"X-CSRFToken": "(\w+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in NO_FORM], ids=named)
def test_a_form_that_was_not_ours_changes_nothing(
    browser: Client, mine: Owned, untouched: Untouched, page: Address
) -> None:
    path = page.filled(mine.of_pages())
    others = Client().get("/login")
    token = re.search(r'value="(\w{64})"', others.content.decode())
    assert token
    forms: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"csrfmiddlewaretoken": "x"}, {}),
        ({"csrfmiddlewaretoken": token[1]}, {}),
        ({}, {"X-CSRFToken": token[1]}),
        ({"csrfmiddlewaretoken": token[1]}, {"Origin": "https://evil.test"}),
        ({"csrfmiddlewaretoken": token[1]}, {"Origin": "null"}),
    ]

    with untouched():
        for fields, headers in forms:
            answer = browser.post(path, {"confirm": "yes", "action": "start", **fields}, headers=headers)

            assert answer.status_code in {403, 405}, fields


def test_a_right_token_from_another_place_is_refused(browser: Client, mine: Owned, untouched: Untouched) -> None:
    token = token_of(browser)
    path = f"/schedules/{mine.schedule}/disable"

    with untouched():
        answer = browser.post(path, {"csrfmiddlewaretoken": token}, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403

    assert (
        browser.post(path, {"csrfmiddlewaretoken": token}, headers={"Origin": "http://testserver"}).status_code == 302
    )
    assert Schedule.objects.get(pk=mine.schedule).disabled_at


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_link_changes_nothing(visitor: Client, mine: Owned, untouched: Untouched, page: Address) -> None:
    """Whatever it carries: an image in a mail can ask for it."""
    path = page.filled(mine.of_pages())

    with untouched():
        for query in ({}, {"confirm": "yes", "action": "start", "post": "yes", "_method": "POST", "name": "x"}):
            answer = visitor.get(path, query)

            assert answer.status_code in {200, 302, 405, 503}
            assert b"".join(answer) or answer.status_code != 200


# --- files that mean harm ------------------------------------------------------------------------------------------

FILES = {
    "a tag of Python": "+a: !!python/object/apply:os.system [id]\n",
    "a billion laughs": "_export:\n  a0: &a0 lol\n"
    + "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    + "+a: {echo>: x}\n",
    "a hundred thousand brackets": "[" * 100_000,
    "a key twice": "+a: {echo>: x}\n+a: {echo>: y}\n",
    "a minute that is none": 'schedule: {cron>: "99 * * * *"}\n+a: {echo>: x}\n',
    "steps of nothing": 'schedule: {cron>: "*/0 * * * *"}\n+a: {echo>: x}\n',
    "a day that never comes": 'schedule: {cron>: "0 0 30 2 *"}\n+a: {echo>: x}\n',
    "ten thousand minutes": f'schedule: {{cron>: "{",".join(["1"] * 10_000)} * * * *"}}\n+a: {{echo>: x}}\n',
    "seven fields": 'schedule: {cron>: "0 0 * * * 2026 1"}\n+a: {echo>: x}\n',
    "a word for a time": 'schedule: {cron>: "@reboot"}\n+a: {echo>: x}\n',
    "digits of another script": 'schedule: {cron>: "٠ ٠ * * *"}\n+a: {echo>: x}\n',
    "a path for a zone": "timezone: ../../etc/passwd\n+a: {echo>: x}\n",
    "a NUL in a zone": 'timezone: "America/New_York\\0"\n+a: {echo>: x}\n',
    "the machine's own zone": "timezone: localtime\n+a: {echo>: x}\n",
    "a zone of another world": "timezone: Mars/Base\n+a: {echo>: x}\n",
    "a zone of 300 letters": f"timezone: {'x' * 300}\n+a: {{echo>: x}}\n",
    "an include from above": "+a: !include ../../etc/passwd\n",
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_means_harm_is_refused_by_name_and_line_and_the_revision_before_stays(
    visitor: Client, mine: Owned, untouched: Untouched, quickly: Quickly, kind: str
) -> None:
    archive = tgz({"good.dig": "+a:\n  echo>: x\n", "bad.dig": FILES[kind]})

    with untouched(), quickly():
        path = f"/api/projects?project={mine.mark}&revision=r2"
        answer = visitor.generic("PUT", path, archive, content_type="application/gzip")

    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert {problem["file"] for problem in answer.json()["problems"]} == {"bad.dig"}
    assert all(problem["line"] for problem in answer.json()["problems"])
    assert len(answer.content) < 100_000


# --- at the same time ------------------------------------------------------------------------------------------------


def together(client: Client, requests: list[tuple[str, str, bytes]]) -> list[int]:
    """The statuses of requests (method, path, body) that are sent at once, each by a client of its own."""
    barrier = Barrier(len(requests), timeout=30)

    def send(request: tuple[str, str, bytes]) -> int:
        method, path, body = request
        one = Client()
        one.cookies = client.cookies
        barrier.wait()
        try:
            return one.generic(method, path, body, content_type="application/gzip").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_uploads_of_one_revision_at_the_same_time_one_wins(visitor: Client, pushed: bytes) -> None:
    for number in range(5):
        statuses = together(visitor, [("PUT", f"/api/projects?project=p&revision=r{number}", pushed)] * 4)

        assert sorted(statuses) == [200, 409, 409, 409]
    assert Project.objects.count() == 1
    assert Revision.objects.count() == 5


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_project_is_deleted_once_and_an_upload_meanwhile_is_before_or_after_it(
    visitor: Client, pushed: bytes
) -> None:
    for number in range(8):
        path = f"/api/projects?project=p&revision=first{number}"
        made = visitor.generic("PUT", path, pushed, content_type="application/gzip").json()["id"]
        delete, push = (
            ("DELETE", f"/api/projects/{made}", b""),
            ("PUT", f"/api/projects?project=p&revision=r{number}", pushed),
        )

        one, other, pushing = together(visitor, [delete, delete, push])

        assert sorted([one, other]) == [200, 404]
        assert pushing in {200, 404, 409}
        live = Project.objects.filter(name="p", deleted_at=None)
        assert live.count() <= 1
        assert pushing == 200 or not live.exists()
        for project in live:
            visitor.delete(f"/api/projects/{project.pk}")


# --- what anybody may read ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_is_open_to_everybody_tells_nothing_of_what_is_stored_or_of_this_machine(
    mine: Owned, settings: Any
) -> None:
    paths = [
        "/healthz",
        "/livez",
        "/api/version",
        "/api/schema",
        "/api/docs",
        "/api/docs?script=",
        "/login",
        "/admin/login/",
    ]
    stranger = Client()

    shown = "".join(stranger.get(path).content.decode() for path in paths)

    for told in (
        mine.mark,
        str(settings.BASE_DIR),
        str(settings.VAR_DIR),
        "site-packages",
        "/usr/lib",
        "postgres",
        "redis://",
    ):
        assert told not in shown
    for version in ("Django/", "Python/", "gunicorn", "celery"):
        assert version not in shown
    assert stranger.get("/metrics").status_code == 401
    assert {"Server", "X-Powered-By"} & set(stranger.get("/livez").headers) == set()
