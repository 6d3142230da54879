"""The project of a secret or a key is looked for by its name, however many there are."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from projects.models import Project

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FORMS = ["/admin/projects/secret/add/", "/admin/projects/apikey/add/"]
MODELS = ["secret", "apikey"]


@pytest.fixture
def client(make_staff: Callable[..., User], enter: Callable[[User], Client]) -> Client:
    return enter(make_staff("sam", "projects.add_apikey"))


def looked_up(client: Client, model: str, term: str = "") -> list[str]:
    sent = {"app_label": "projects", "model_name": model, "field_name": "project", "term": term}
    return [found["text"] for found in client.get(reverse("admin:autocomplete"), sent).json()["results"]]


@pytest.mark.parametrize("url", FORMS)
def test_a_form_stays_small_with_thousands_of_projects(client: Client, superuser_client: Client, url: str) -> None:
    Project.objects.bulk_create(
        Project(name=f"project {number} of those that are here", created_at=NOW) for number in range(2_000)
    )

    pages = [one.get(url) for one in (client, superuser_client)]

    assert [page.status_code for page in pages] == [200, 200]
    assert max(len(page.content) for page in pages) < 100_000


@pytest.mark.parametrize("url", FORMS)
def test_who_may_not_look_for_projects_has_them_in_a_list(
    url: str, make_user: Callable[..., User], enter: Callable[[User], Client]
) -> None:
    Project.objects.create(name="sales", created_at=NOW)
    client = enter(make_user("kim", "projects.change_secret", "projects.add_apikey", is_staff=True))

    html = client.get(url).content.decode()

    assert ">sales</option>" in html


@pytest.mark.parametrize("model", MODELS)
def test_a_project_that_the_form_would_refuse_is_not_found(
    client: Client, superuser_client: Client, model: str
) -> None:
    Project.objects.create(name="sales", created_at=NOW)
    Project.objects.create(name="sales of old", created_at=NOW, deleted_at=NOW)
    Project.objects.create(name="sales of others", created_at=NOW).groups.add(Group.objects.create(name="others"))
    Project.objects.create(name="finance", created_at=NOW)

    found = [looked_up(one, model, "sales") for one in (client, superuser_client)]

    assert found == [["sales"], ["sales", "sales of others"]]


@pytest.mark.parametrize("url", FORMS)
def test_a_refused_form_keeps_the_project(client: Client, url: str) -> None:
    project = Project.objects.create(name="sales", created_at=NOW)

    html = client.post(url, {"project": project.pk}).content.decode()

    assert f'<option value="{project.pk}" selected>sales</option>' in html


@pytest.mark.parametrize(("url", "field"), [(FORMS[0], "project"), (FORMS[1], "project"), (FORMS[1], "user")])
@pytest.mark.parametrize("value", ["x", "-1", "\x00", "9" * 40])
def test_what_is_no_id_is_refused_beside_its_field(superuser_client: Client, url: str, field: str, value: str) -> None:
    answer = superuser_client.post(url, {field: value})

    assert answer.status_code == 200
    assert field in answer.context["adminform"].errors


@pytest.mark.parametrize("model", MODELS)
def test_no_text_breaks_the_search(superuser_client: Client, model: str) -> None:
    Project.objects.create(name="sales", created_at=NOW)

    assert [looked_up(superuser_client, model, term) for term in ("\x00", "%", "x" * 5_000)] == [[]] * 3
