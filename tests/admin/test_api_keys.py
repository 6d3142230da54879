"""API keys in the admin: made for whom one may, shown once, renamed, revoked."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session as BrowserSession
from django.db import connection
from django.test import Client

from projects import apikeys
from projects.models import ApiKey, Project, Scope

URL = "/admin/projects/apikey/"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WANTED = {"name": "deploy", "scopes": ["read", "operate"]}
KEY = re.compile(r"hc_[0-9a-f]{12}_[\w-]{40,}")


@pytest.fixture
def staff(make_staff: Callable[..., User]) -> User:
    return make_staff("sam", "projects.add_apikey", "projects.change_apikey")


@pytest.fixture
def client(staff: User, enter: Callable[[User], Client]) -> Client:
    return enter(staff)


def keys_in(response: Any) -> list[str]:
    return KEY.findall(response.content.decode())


def owner_of(text: str) -> User | None:
    key = apikeys.find(text, now=datetime.now(UTC))
    return key.user if key else None


def test_a_key_made_in_the_admin_opens_the_api_for_its_user(client: Client, staff: User) -> None:
    response = client.post(f"{URL}add/", WANTED)

    (text,) = keys_in(response)
    key = ApiKey.objects.get()
    assert owner_of(text) == staff
    assert (key.name, key.scopes, key.project, key.expires_at) == ("deploy", ["read", "operate"], None, None)


def test_a_key_is_shown_in_one_answer_and_never_again(client: Client) -> None:
    made = client.post(f"{URL}add/", WANTED)
    (text,) = keys_in(made)
    key = ApiKey.objects.get()
    secret = text.split("_", 2)[2]

    pages = [client.get(url) for url in (URL, f"{URL}{key.pk}/change/", f"{URL}{key.pk}/history/", "/admin/")]

    assert "no-store" in made["Cache-Control"]
    assert all(secret not in page.content.decode() and key.digest not in page.content.decode() for page in pages)
    assert secret not in str([session.get_decoded() for session in BrowserSession.objects.all()])
    assert secret not in str(client.cookies)
    assert secret not in str(list(LogEntry.objects.values()))


def test_the_database_holds_no_key(client: Client) -> None:
    (text,) = keys_in(client.post(f"{URL}add/", WANTED))

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM projects_apikey")
        stored = str(cursor.fetchall())

    assert text not in stored
    assert text.split("_", 2)[2] not in stored


def test_staff_make_keys_for_themselves_alone(client: Client, staff: User, make_user: Callable[..., User]) -> None:
    other = make_user("olga")

    form = client.get(f"{URL}add/").content.decode()
    client.post(f"{URL}add/", {**WANTED, "user": other.pk})

    assert 'name="user"' not in form
    assert ApiKey.objects.get().user == staff


def test_a_superuser_makes_keys_for_anybody(superuser_client: Client, make_user: Callable[..., User]) -> None:
    olga = make_user("olga")

    response = superuser_client.post(f"{URL}add/", {**WANTED, "user": olga.pk})

    assert owner_of(keys_in(response)[0]) == olga


def test_making_keys_needs_the_right_to(make_staff: Callable[..., User], enter: Callable[[User], Client]) -> None:
    client = enter(make_staff("ines"))

    answers = [client.get(f"{URL}add/"), client.post(f"{URL}add/", WANTED)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert not ApiKey.objects.exists()


def test_a_key_can_be_bound_to_a_scope_a_project_and_a_time(client: Client) -> None:
    project = Project.objects.create(name="sales", created_at=NOW)
    sent = {
        "name": "ci",
        "scopes": ["read"],
        "project": project.pk,
        "expires_at_0": "2099-01-01",
        "expires_at_1": "00:00",
    }

    client.post(f"{URL}add/", sent)

    key = ApiKey.objects.get()
    assert (key.scopes, key.project, key.expires_at) == (["read"], project, datetime(2099, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"project": "999"}, "project"),
        ({"project": "x"}, "project"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "expires_at"),
        ({"expires_at_0": "soon", "expires_at_1": ""}, "expires_at"),
    ],
)
def test_bad_input_is_refused_beside_its_field(fields: dict[str, Any], wrong: str, client: Client) -> None:
    response = client.post(f"{URL}add/", {**WANTED, **fields})

    assert response.status_code == 200
    assert set(response.context["adminform"].errors) == {wrong}
    assert not ApiKey.objects.exists()


def test_a_key_cannot_be_bound_to_a_project_that_its_user_may_not_see(
    superuser_client: Client, make_user: Callable[..., User]
) -> None:
    project = Project.objects.create(name="secret", created_at=NOW)
    project.groups.create(name="insiders")
    sent = {**WANTED, "user": make_user("olga").pk, "project": project.pk}

    response = superuser_client.post(f"{URL}add/", sent)

    assert response.context["adminform"].errors["project"] == ["olga may not see this project."]
    assert not ApiKey.objects.exists()


def test_only_the_name_of_a_key_changes(client: Client, staff: User, make_user: Callable[..., User]) -> None:
    key, text = apikeys.issue(user=staff, name="old", now=NOW, scopes=[Scope.READ])
    before = ApiKey.objects.values().get()
    sent = {"name": "new", "user": make_user("olga").pk, "scopes": ["read", "operate"], "prefix": "x", "digest": "x"}

    response = client.post(f"{URL}{key.pk}/change/", {**sent, "expires_at_0": "2099-01-01", "revoked_at": ""})

    assert response.status_code == 302
    assert ApiKey.objects.values().get() == {**before, "name": "new"}
    assert owner_of(text) == staff


def test_revoking_asks_once_and_then_ends_the_key(client: Client, staff: User) -> None:
    key, text = apikeys.issue(user=staff, name="ci", now=NOW)
    sent = {"action": "revoke", "_selected_action": key.pk}

    asked = client.post(URL, sent)
    still_usable = owner_of(text)
    client.post(URL, {**sent, "confirmed": "yes"})

    assert "Revoke 1 key" in asked.content.decode()
    assert still_usable == staff
    assert owner_of(text) is None


def test_a_revoked_key_stays_revoked_at_its_first_moment(client: Client, staff: User) -> None:
    key, _ = apikeys.issue(user=staff, name="ci", now=NOW)
    apikeys.revoke(key, now=NOW)

    response = client.post(URL, {"action": "revoke", "_selected_action": key.pk, "confirmed": "yes"}, follow=True)

    assert "revoked before" in response.content.decode()
    assert ApiKey.objects.get().revoked_at == NOW
    assert client.get(f"{URL}{key.pk}/change/").context["row_actions"] == []


def test_a_keys_page_has_the_button_that_revokes_it(client: Client, staff: User) -> None:
    key, _ = apikeys.issue(user=staff, name="ci", now=NOW)

    response = client.get(f"{URL}{key.pk}/change/")

    assert response.context["row_actions"] == [("revoke", "Revoke")]
    assert b'name="action" value="revoke"' in response.content


def test_staff_neither_see_nor_touch_keys_of_others(client: Client, make_user: Callable[..., User]) -> None:
    key, text = apikeys.issue(user=make_user("olga"), name="theirs", now=NOW)

    page = client.get(URL)
    client.post(f"{URL}{key.pk}/change/", {"name": "mine"})
    client.post(URL, {"action": "revoke", "_selected_action": key.pk, "confirmed": "yes"})

    assert "theirs" not in page.content.decode()
    assert ApiKey.objects.get().name == "theirs"
    assert owner_of(text)


def test_revoking_needs_the_right_to_change_keys(
    make_staff: Callable[..., User], enter: Callable[[User], Client]
) -> None:
    ines = make_staff("ines")
    key, text = apikeys.issue(user=ines, name="ci", now=NOW)

    enter(ines).post(URL, {"action": "revoke", "_selected_action": key.pk, "confirmed": "yes"})

    assert owner_of(text) == ines


def test_keys_are_not_deleted(superuser_client: Client, staff: User) -> None:
    key, _ = apikeys.issue(user=staff, name="ci", now=NOW)

    response = superuser_client.post(f"{URL}{key.pk}/delete/", {"post": "yes"})

    assert response.status_code == 403
    assert ApiKey.objects.exists()


def test_a_hostile_name_is_shown_as_text(client: Client) -> None:
    evil = "<script>alert(1)</script>"

    pages = [client.post(f"{URL}add/", {**WANTED, "name": evil})]
    key = ApiKey.objects.get()
    pages += [client.get(URL), client.get(f"{URL}{key.pk}/change/")]
    pages.append(client.post(URL, {"action": "revoke", "_selected_action": key.pk}))

    assert all(evil not in page.content.decode() for page in pages)
    assert all("&lt;script&gt;alert" in page.content.decode() for page in pages)
