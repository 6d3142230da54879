"""Keys that are wrong, that may too little, that have ended, and that are where everybody can read them."""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from projects import apikeys
from projects.models import Scope
from scheduler.api import projects as project_door
from tests.api.attacks.world import Address, Owned, addresses, content_of

Untouched = Callable[[], AbstractContextManager[None]]

OPEN = {"api-version", "api-version-check", "api-schema", "api-docs"}
API = [address for address in addresses("/api/") if address.name not in OPEN]
WRITING = [(address, method) for address in API for method in ("POST", "PUT", "DELETE") if method in address.methods]
KINDS = ["revoked", "expired", "longer", "shorter", "other case", "another prefix", "garbage", "of nobody"]


def pair(value: Any) -> str:
    return f"{value[1]} {value[0].pattern}"


def ask(client: Client, address: Address, method: str, owned: Owned, **more: Any) -> Any:
    path = address.filled(owned.of_api(address.pattern))
    return client.generic(method, path, owned.body_of(address), content_type="application/json", **more)


@pytest.fixture
def wrong_keys(attacker: User, make_user: Callable[..., User], now: datetime) -> dict[str, str]:
    good_key, good = apikeys.issue(user=attacker, name="good", now=now)
    revoked, revoked_text = apikeys.issue(user=attacker, name="revoked", now=now)
    apikeys.revoke(revoked, now=now)
    _, expired = apikeys.issue(user=attacker, name="old", now=now - timedelta(days=2), expires_at=now)
    _, gone = apikeys.issue(user=make_user("gone", is_active=False), name="k", now=now)
    return {
        "revoked": revoked_text,
        "expired": expired,
        "longer": good + "x",
        "shorter": good[:-1],
        "other case": good.swapcase(),
        "another prefix": good.replace(good_key.prefix, "0" * 12),
        "garbage": "hc_' OR 1=1--",
        "of nobody": gone,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_key_gets_the_same_answer_everywhere(
    mine: Owned, wrong_keys: dict[str, str], untouched: Untouched, kind: str
) -> None:
    client = Client(headers={"Authorization": f"TD1 {wrong_keys[kind]}"})

    with untouched():
        answers = [ask(client, address, method, mine) for address in API for method in ("GET", "POST", "PUT", "DELETE")]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.content for answer in answers} == {
        b'{"message":"The API key is wrong, revoked or expired.","status":401}'
    }
    assert {answer["WWW-Authenticate"] for answer in answers} == {'TD1 realm="hindcast"'}


def test_a_wrong_key_takes_the_same_work_whatever_is_wrong_with_it(
    db: None, wrong_keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of an answer tells nothing: a row is looked for and a digest is compared in any case."""
    work, compare = {}, []
    digest = apikeys.digest
    monkeypatch.setattr(apikeys, "digest", lambda text: compare.append(text) or digest(text))

    for kind in set(KINDS) - {"garbage"}:
        compare.clear()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            Client().get("/api/schedules", headers={"Authorization": f"TD1 {wrong_keys[kind]}"})
        work[kind] = (len(queries), len(compare))

    assert set(work.values()) == {(1, 1)}, work


@pytest.mark.parametrize("asked", WRITING, ids=pair)
def test_a_key_that_reads_changes_nothing_whatever_its_user_may(
    mine: Owned, make_user: Callable[..., User], now: datetime, untouched: Untouched, asked: tuple[Address, str]
) -> None:
    _, text = apikeys.issue(user=make_user("root", is_superuser=True), name="r", now=now, scopes=[Scope.READ])

    with untouched():
        answer = ask(Client(headers={"Authorization": f"TD1 {text}"}), *asked, mine)

    assert (answer.status_code, answer.json()["status"]) == (403, 403)
    assert "scope `operate`" in answer.json()["message"]


@pytest.mark.parametrize("asked", WRITING, ids=pair)
def test_a_user_without_permissions_changes_nothing_whatever_his_key_may(
    mine: Owned, make_user: Callable[..., User], now: datetime, untouched: Untouched, asked: tuple[Address, str]
) -> None:
    _, text = apikeys.issue(user=make_user("ann"), name="r", now=now)

    with untouched():
        answer = ask(Client(headers={"Authorization": f"TD1 {text}"}), *asked, mine)

    assert (answer.status_code, answer.json()["status"]) == (403, 403)
    assert "the permission `" in answer.json()["message"]


def test_keys_and_sessions_of_a_user_who_may_not_sign_in_any_more_end_at_once(
    mine: Owned, attacker: User, visitor: Client, now: datetime
) -> None:
    _, text = apikeys.issue(user=attacker, name="k", now=now)
    holder = Client(headers={"Authorization": f"TD1 {text}"})
    assert {holder.get("/api/schedules").status_code, visitor.get("/api/schedules").status_code} == {200}

    User.objects.filter(pk=attacker.pk).update(is_active=False)

    assert {holder.get("/api/schedules").status_code, visitor.get("/api/schedules").status_code} == {401}
    assert visitor.get("/")["Location"] == "/login?next=/"
    assert visitor.get("/admin/")["Location"] == "/admin/login/?next=/admin/"


def test_a_new_password_ends_the_sessions_that_were_there(attacker: User, visitor: Client) -> None:
    assert visitor.get("/api/schedules").status_code == 200

    attacker.set_password("another horse")
    attacker.save()

    assert visitor.get("/api/schedules").status_code == 401
    assert visitor.get("/")["Location"] == "/login?next=/"


# --- a key where it can be read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["key={}", "apikey={}", "x=1&api_key={}", "{}", "q=TD1%20{}", "apikey=of-another-make"]
)
def test_a_key_in_an_address_is_refused_even_beside_a_good_one(api: Any, api_key: str, query: str) -> None:
    answer = api.client.get(f"/api/schedules?{query.format(api_key)}")

    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert "in the header Authorization" in answer.json()["message"]
    assert api_key not in answer.content.decode()


def test_neither_keys_nor_secrets_get_into_logs(
    mine: Owned,
    attacker: User,
    now: datetime,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refusals of every kind and a failure that nobody expected, with a key and a secret in all of them."""
    _, text = apikeys.issue(user=attacker, name="k", now=now)
    secret = "canary-of-the-coal-mine"
    client = Client(headers={"Authorization": f"TD1 {text}"}, raise_request_exception=False)
    body = json.dumps({"value": secret, "params": {"x": secret}, "attemptName": secret, "fromTime": secret}).encode()

    for address in API:
        for method in ("GET", "POST", "PUT"):
            for suffix in ("", f"?k={text}"):
                path = address.filled(mine.of_api(address.pattern)) + suffix
                content_of(client.generic(method, path, body, content_type="application/json"))
    Client(headers={"Authorization": f"TD1 {text}x"}).get("/api/schedules")
    monkeypatch.setattr(project_door.secrets, "put", broken)
    assert (
        client.put(f"/api/projects/{mine.project}/secrets/a", {"value": secret}, "application/json").status_code == 500
    )

    written = caplog.text + "".join(capfd.readouterr())
    assert "Internal Server Error" in written
    assert "Bad Request" in written
    for told in (text, text.split("_", 2)[2], secret):
        assert told not in written


def broken(**_: Any) -> None:
    raise RuntimeError("a bug")


def test_a_key_is_not_in_a_message_to_a_worker(
    mine: Owned, attacker: User, now: datetime, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[str] = []
    monkeypatch.setattr("scheduler.dispatch.app.send_task", lambda *args, **options: sent.append(repr((args, options))))
    _, text = apikeys.issue(user=attacker, name="k", now=now)
    body = {"workflowId": mine.definition, "sessionTime": "2026-01-01T00:00:00Z", "params": {"x": "canary"}}

    with django_capture_on_commit_callbacks(execute=True):
        answer = Client(headers={"Authorization": f"TD1 {text}"}).put("/api/attempts", body, "application/json")

    assert answer.status_code == 200
    assert sent
    assert not re.search(f"{re.escape(text)}|canary|{settings.SECRET_KEY}", "".join(sent))
