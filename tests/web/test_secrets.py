"""Secrets in the browser: written, replaced and deleted, never read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects import secrets
from projects.models import Project, Secret

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
VALUE = "hunter2 <b>"


@pytest.fixture
def keyholder(make_user: Callable[..., User]) -> Client:
    """Signed in as somebody who may keep secrets."""
    client = Client()
    client.force_login(make_user("kira", "projects.change_secret"))
    return client


@pytest.fixture
def project(db: None) -> Project:
    return Project.objects.create(name="sales", created_at=NOW)


def send(client: Client, project: Project, key: str = "db.password", value: str = VALUE) -> Any:
    return client.post(f"/projects/{project.pk}/secrets/set", {"key": key, "value": value})


def revealed(project: Project, key: str = "db.password") -> str:
    return str(secrets.reveal(project_id=project.pk, key=key))


def test_a_secret_is_set_and_its_value_is_never_shown(keyholder: Client, project: Project) -> None:
    answer = send(keyholder, project)

    html = keyholder.get(answer["Location"]).content.decode()
    assert "The secret db.password is set." in html
    assert "<code>db.password</code>" in html
    assert "hunter2" not in html
    assert revealed(project) == VALUE


def test_a_secret_is_replaced(keyholder: Client, project: Project) -> None:
    send(keyholder, project)
    html = keyholder.get(f"/projects/{project.pk}/secrets?key=db.password").content.decode()

    send(keyholder, project, value="other")

    assert 'name="key" value="db.password"' in html
    assert (Secret.objects.count(), revealed(project)) == (1, "other")


def test_a_value_keeps_its_spaces_and_gets_the_line_ends_that_were_pasted(keyholder: Client, project: Project) -> None:
    send(keyholder, project, value=" line 1\r\nline 2\r\n")

    assert revealed(project) == " line 1\nline 2\n"


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [("", "x", "key"), ("a b", "x", "key"), ("a..b", "x", "key"), ("x" * 300, "x", "key"), ("a", "", "value"),
     ("a", "é" * 10_000, "value"), ("a", "x\x00y", "value"), ("a\n", "x", "key")],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field_without_the_value(
    keyholder: Client, project: Project, key: str, value: str, field: str
) -> None:
    answer = send(keyholder, project, key, value or "")

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert "ééé" not in answer.content.decode()
    assert not Secret.objects.exists()


def test_a_refused_key_does_not_bring_the_value_back(keyholder: Client, project: Project) -> None:
    assert "hunter2" not in send(keyholder, project, key="a b").content.decode()


def test_deleting_asks_once(keyholder: Client, project: Project) -> None:
    send(keyholder, project)
    address = f"/projects/{project.pk}/secrets/db.password/delete"

    asked = keyholder.get(address).content.decode()
    there = Secret.objects.count()
    html = keyholder.post(address, follow=True).content.decode()

    assert "Delete the secret" in asked
    assert (there, Secret.objects.count()) == (1, 0)
    assert "The secret db.password is deleted." in html


def test_deleting_what_is_gone_says_so(keyholder: Client, project: Project) -> None:
    address = f"/projects/{project.pk}/secrets/nothing/delete"

    answer = keyholder.get(address)
    assert answer.status_code == 404
    assert "There is no secret of this key." in answer.content.decode()
    assert "was not there any more" in keyholder.post(address, follow=True).content.decode()


def test_the_list_is_paged_by_key(
    keyholder: Client, project: Project, django_assert_num_queries: Callable[[int], Any]
) -> None:
    keys = [f"key{number:03}" for number in range(130)]
    Secret.objects.bulk_create(Secret(project=project, key=key, sealed="x", updated_at=NOW) for key in keys)

    with django_assert_num_queries(7):
        first = keyholder.get(f"/projects/{project.pk}/secrets").context["list"]
    second = keyholder.get(f"/projects/{project.pk}/secrets{first.next_href}").context["list"]

    assert [row["key"] for row in (*first.rows, *second.rows)] == keys


def test_keys_and_values_are_for_who_may_keep_secrets(page: Client, project: Project) -> None:
    secrets.put(project_id=project.pk, key="db.password", value=VALUE, now=NOW)

    answers = [
        page.get(f"/projects/{project.pk}/secrets"),
        send(page, project, value="other"),
        page.post(f"/projects/{project.pk}/secrets/db.password/delete"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert not [answer for answer in answers if "db.password" in answer.content.decode()]
    assert revealed(project) == VALUE


def test_a_secret_is_sent_by_a_form_alone(keyholder: Client, project: Project) -> None:
    assert keyholder.get(f"/projects/{project.pk}/secrets/set").status_code == 405
