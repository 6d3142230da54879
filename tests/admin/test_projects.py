"""Projects in the admin: archives to download, secrets that nobody can read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from projects import archives, secrets
from projects.models import Project, Revision, Secret

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
VALUE = "hunter2 <b>"
LIST, ADD = reverse("admin:projects_secret_changelist"), reverse("admin:projects_secret_add")
Populate = Callable[[int], None]


def page_of(row: object, page: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])  # type: ignore[attr-defined]


@pytest.fixture
def project(db: None) -> Project:
    return Project.objects.create(name="sales", created_at=NOW)


@pytest.fixture
def keeper(make_user: Callable[..., User], enter: Callable[[User], Client]) -> Client:
    return enter(make_user("kim", "projects.change_secret", is_staff=True))


def add(client: Client, project: Project, key: str = "db.password", value: str = VALUE) -> Any:
    return client.post(ADD, {"project": project.pk, "key": key, "value": value})


def revealed(project: Project, key: str = "db.password") -> str:
    return str(secrets.reveal(project_id=project.pk, key=key))


def test_a_secret_is_added_and_its_value_is_on_no_page(keeper: Client, project: Project) -> None:
    assert add(keeper, project).status_code == 302

    secret = Secret.objects.get()
    pages = [keeper.get(url).content.decode() for url in (LIST, page_of(secret), page_of(secret, "history"))]
    assert revealed(project) == VALUE
    assert not [html for html in pages if "hunter2" in html or secret.sealed in html]
    assert "hunter2" not in str(LogEntry.objects.values())


def test_a_secret_is_replaced_and_keeps_its_key_and_project(keeper: Client, project: Project) -> None:
    add(keeper, project)
    other = Project.objects.create(name="other", created_at=NOW)

    keeper.post(page_of(Secret.objects.get()), {"value": "new\r\nlines", "key": "x", "project": other.pk})

    assert list(Secret.objects.values_list("project", "key")) == [(project.pk, "db.password")]
    assert revealed(project) == "new\nlines"


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [("a b", "x", "key"), ("", "x", "key"), ("a", "", "value"), ("a", "é" * 10_000, "value"), ("x" * 300, "x", "key")],
)
def test_what_is_wrong_stands_beside_its_field_without_the_value(
    keeper: Client, project: Project, key: str, value: str, field: str
) -> None:
    answer = add(keeper, project, key, value)

    assert list(answer.context["adminform"].errors) == [field]
    assert "ééé" not in answer.content.decode()
    assert not Secret.objects.exists()


def test_a_refused_form_does_not_bring_the_value_back(keeper: Client, project: Project) -> None:
    assert "hunter2" not in add(keeper, project, key="a b").content.decode()


def test_secrets_are_deleted_after_one_question(keeper: Client, project: Project) -> None:
    add(keeper, project)
    sent = {"action": "delete_secrets", "_selected_action": Secret.objects.get().pk}

    asked = keeper.post(LIST, sent).content.decode()
    there = Secret.objects.count()
    keeper.post(LIST, {**sent, "confirmed": "yes"})

    assert "sales: db.password" in asked
    assert (there, Secret.objects.count()) == (1, 0)


def test_django_deletes_no_secret(superuser_client: Client, project: Project) -> None:
    add(superuser_client, project)

    assert superuser_client.post(page_of(Secret.objects.get(), "delete"), {"post": "yes"}).status_code == 403
    assert Secret.objects.exists()


def test_who_may_only_look_sees_no_key(
    make_user: Callable[..., User], enter: Callable[[User], Client], superuser_client: Client, project: Project
) -> None:
    add(superuser_client, project)
    client = enter(make_user("vera", "projects.view_secret", is_staff=True))

    assert [client.get(url).status_code for url in (LIST, ADD)] == [403, 403]
    assert add(client, project, "other").status_code == 403


def test_secrets_of_hidden_and_deleted_projects_are_not_there(
    keeper: Client, superuser_client: Client, project: Project
) -> None:
    add(keeper, project)
    secret = Secret.objects.get()
    project.groups.add(Group.objects.create(name="others"))

    hidden = keeper.get(LIST).context["cl"].result_list, keeper.get(page_of(secret)).status_code
    refused = add(keeper, project, "other")
    Project.objects.update(deleted_at=NOW)

    assert (list(hidden[0]), hidden[1]) == ([], 302)
    assert list(refused.context["adminform"].errors) == ["project"]
    assert list(superuser_client.get(LIST).context["cl"].result_list) == []


def test_an_archive_is_downloaded_as_it_was_pushed(superuser_client: Client, project: Project) -> None:
    name = archives.store({"a.txt": b"hello"})
    revision = Revision.objects.create(project=project, name="v1", archive=name, archive_size=1234, created_at=NOW)

    html = superuser_client.get(page_of(revision)).content.decode()
    answer = superuser_client.get(page_of(revision, "archive"))

    with archives.original(name) as stored:
        assert b"".join(answer) == stored.read()
    assert f'href="{page_of(revision, "archive")}"' in html
    assert answer["Content-Disposition"] == 'attachment; filename="sales-v1.tar.gz"'


def test_an_archive_is_for_who_may_see_the_revision(
    make_staff: Callable[..., User], make_user: Callable[..., User], enter: Callable[[User], Client], project: Project
) -> None:
    name = archives.store({"a.txt": b"hello"})
    revision = Revision.objects.create(project=project, name="v1", archive=name, created_at=NOW)
    other = enter(make_user("ola", "projects.view_project", is_staff=True))
    answers = [client.get(page_of(revision, "archive")) for client in (enter(make_staff()), other)]
    answers[0].getvalue()  # a file that is open until it was read

    project.groups.add(Group.objects.create(name="others"))

    assert [answer.status_code for answer in answers] == [200, 403]
    assert enter(make_staff("sue")).get(page_of(revision, "archive")).status_code == 404


def test_an_archive_that_there_is_not_is_not_found(superuser_client: Client, project: Project) -> None:
    empty = Revision.objects.create(project=project, name="v1", created_at=NOW)
    gone = Revision.objects.create(project=project, name="v2", archive="gone.tar.gz", created_at=NOW)

    addresses = [page_of(row, "archive") for row in (empty, gone)]

    assert [superuser_client.get(address).status_code for address in addresses] == [404, 404]
    assert superuser_client.get(addresses[0].replace(str(empty.pk), "99999")).status_code == 404


def test_projects_are_narrowed_by_whether_they_are_deleted(superuser_client: Client, populate: Populate) -> None:
    populate(2)
    url = reverse("admin:projects_project_changelist")
    gone = Project.objects.get(name="p1")
    Project.objects.filter(pk=gone.pk).update(deleted_at=NOW)

    shown = [
        [row.name for row in superuser_client.get(url + query).context["cl"].result_list]
        for query in ("", "?state=live", "?state=deleted")
    ]

    assert shown == [["p0", "p1"], ["p0"], ["p1"]]


def test_changing_who_may_see_a_project_writes_nothing_else_of_it(superuser_client: Client, project: Project) -> None:
    group = Group.objects.create(name="ops")
    rows = {"TOTAL_FORMS": 1, "INITIAL_FORMS": 0, "0-project": project.pk, "0-group": group.pk}

    with CaptureQueriesContext(connection) as queries:
        superuser_client.post(page_of(project), {f"access-{name}": value for name, value in rows.items()})

    assert list(project.groups.all()) == [group]
    assert not [query for query in queries if 'UPDATE "projects_project"' in query["sql"]]


def test_a_project_leads_to_its_page_while_it_has_one(superuser_client: Client, project: Project) -> None:
    before = superuser_client.get(page_of(project)).content.decode()
    Project.objects.update(deleted_at=NOW)

    after = superuser_client.get(page_of(project)).content.decode()

    assert [f'href="/projects/{project.pk}"' in html for html in (before, after)] == [True, False]


def test_the_list_of_projects_names_the_newest_revision(superuser_client: Client, populate: Populate) -> None:
    populate(1)
    newest = Revision.objects.create(project=Project.objects.get(), name="r2", created_at=NOW)

    html = superuser_client.get(reverse("admin:projects_project_changelist")).content.decode()

    assert f'<a href="{page_of(newest)}" dir="auto">r2</a>' in html
