"""Pushing a project by a form."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from projects import archives
from projects.models import Project, Revision
from scheduler.models import Schedule

DIG = b"timezone: UTC\nschedule:\n  daily>: 07:00:00\n+hello:\n  echo>: hello\n"


@pytest.fixture
def pusher(make_user: Callable[..., User]) -> Client:
    """Signed in as somebody who may push."""
    client = Client()
    client.force_login(make_user("pia", "projects.add_revision"))
    return client


def packed(files: Mapping[str, bytes]) -> bytes:
    with archives.pack(files) as upload:
        upload.content.seek(0)
        return upload.content.read()


def send(client: Client, content: bytes, address: str = "/projects/push", **fields: str) -> Any:
    data = {"project": "shop", "revision": "v1", "archive": SimpleUploadedFile("shop.tar.gz", content), **fields}
    return client.post(address, data)


def test_the_form_offers_a_name_for_the_revision(pusher: Client) -> None:
    html = pusher.get("/projects/push").content.decode()

    assert 'name="revision" value="20' in html
    assert 'enctype="multipart/form-data"' in html


def test_a_push_makes_a_project_with_its_schedules(pusher: Client) -> None:
    answer = send(pusher, packed({"orders.dig": DIG}))

    revision = Revision.objects.get()
    assert answer["Location"] == f"/projects/{revision.project_id}"
    assert (revision.name, revision.created_by.get_username()) == ("v1", "pia")  # type: ignore[union-attr]
    assert Schedule.objects.get().workflow.name == "orders"
    assert b"Pushed the revision v1." in pusher.get(answer["Location"]).content


def test_a_push_to_a_project_needs_no_name(pusher: Client) -> None:
    send(pusher, packed({"orders.dig": DIG}))
    project = Project.objects.get()

    send(pusher, packed({"orders.dig": DIG}), f"/projects/{project.pk}/push", project="other", revision="v2")

    assert list(Revision.objects.values_list("project", "name")) == [(project.pk, "v1"), (project.pk, "v2")]


def test_mistakes_are_shown_with_file_line_and_hint(pusher: Client) -> None:
    broken = b"+hello:\n  ech>: hello\n+bye:\n  echo>: <script>alert(1)</script>\n  sh>: x\n"

    html = send(pusher, packed({"orders.dig": broken})).content.decode()

    assert "Nothing was pushed." in html
    assert '<code dir="auto">orders.dig</code>' in html
    assert "line 2" in html
    assert "echo&gt;" in html
    assert 'value="v1"' in html
    assert "<script>alert" not in html
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "nothing in it"), (b"PK\x03\x04zip", "a ZIP file"), (b"\x1f\x8bxx", "damaged"), (b"text", "tar.gz")],
)
def test_what_is_no_archive_is_refused_beside_the_field(pusher: Client, content: bytes, told: str) -> None:
    answer = send(pusher, content)

    assert told in " ".join(answer.context["form"].errors["archive"])
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("project", ""), ("project", "a/b"), ("project", " x"), ("project", "x" * 300), ("project", "a\u202eb"),
     ("revision", ""), ("revision", " "), ("revision", "x" * 300), ("revision", "a\nb")],
)  # fmt: skip
def test_a_bad_name_is_refused_beside_its_field_and_kept(pusher: Client, field: str, value: str) -> None:
    answer = send(pusher, packed({"orders.dig": DIG}), **{field: value})

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert not Project.objects.exists()


def test_a_revision_is_not_written_over(pusher: Client) -> None:
    send(pusher, packed({"orders.dig": DIG}))

    answer = send(pusher, packed({"other.dig": DIG}))

    assert "has a revision" in answer.context["form"].errors["revision"][0]
    assert Revision.objects.count() == 1


def test_without_a_file_the_form_says_so(pusher: Client) -> None:
    answer = pusher.post("/projects/push", {"project": "shop", "revision": "v1"})

    assert answer.context["form"].errors["archive"] == ["Choose the tar.gz of the project."]


def test_what_is_too_long_is_refused_before_it_is_kept(pusher: Client, settings: Any) -> None:
    settings.HINDCAST_MAX_UPLOAD_BYTES = 1_000

    a_little = send(pusher, b"x" * 2_000)
    much = send(pusher, b"x" * 200_000)

    assert "longer than 1,000 bytes" in a_little.context["form"].errors["archive"][0]
    assert "The file is too large" in much.content.decode()
    assert not Project.objects.exists()


def test_a_name_of_a_hidden_project_is_refused(pusher: Client) -> None:
    send(pusher, packed({"orders.dig": DIG}))
    Project.objects.get().groups.add(Group.objects.create(name="others"))

    answer = send(pusher, packed({"orders.dig": DIG}), revision="v2")

    assert "may not see" in answer.context["form"].errors["project"][0]
    assert Revision.objects.count() == 1


def test_pushing_takes_the_permission_and_the_token(onlooker: Client, make_user: Callable[..., User]) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("paul", "projects.add_revision"))

    assert onlooker.get("/projects/push").status_code == 403
    assert send(onlooker, packed({"orders.dig": DIG})).status_code == 403
    assert send(strict, packed({"orders.dig": DIG})).status_code == 403
    assert not Project.objects.exists()


def test_nothing_of_what_may_not_be_sent_is_read(client: Client, onlooker: Client) -> None:
    class Body(io.BytesIO):
        def read(self, *size: Any) -> bytes:
            raise AssertionError("it was read")

    for visitor, status in ((client, 302), (onlooker, 403)):
        answer = visitor.generic(
            "POST",
            "/projects/push",
            b"",
            "multipart/form-data; boundary=x",
            CONTENT_LENGTH="9",
            **{"wsgi.input": Body()},
        )
        assert answer.status_code == status
