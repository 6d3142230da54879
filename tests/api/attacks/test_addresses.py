"""Names in addresses, and everything after the question mark."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client

from tests.api.attacks.world import Address, Owned, addresses

Untouched = Callable[[], AbstractContextManager[None]]

PATHS = [
    "../../x",
    "..%2f",
    "..%2f..%2fx",
    "%252e%252e%252f",
    "%2e%2e%2fx",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "foo/../../bar",
    "foo%2f..%2f..%2fbar",
    "..",
    ".",
    "../foo",
    "/foo",
    "..%5c..%5cx",
    "%00",
    "a%00.log.gz",
    "a%0d%0aX-Evil:%201",
    "x" * 5000,
    "%F0%9F%92%A9",
    "%ff",
    "*",
    "~",
    "-rf",
]
# What tells Django's own lookups and SQL apart from a name, were they to reach one.
STRANGE = {
    "ordering": "user__password",
    "order_by": "-password",
    "sort": "1; DROP TABLE projects_project",
    "_connector": "OR 1=1",
    "_negated": "1",
    "project__name__regex": "(a+)+$",
    "x__regex": "(a+)+$",
    "workflow__project__api_keys__digest__startswith": "0",
    "status": "' OR 1=1--",
    "pk__in": "1,2",
    "format": "xml",
    "fields": "password",
    "limit": "1000000",
    "offset": "-1",
    "page": "1e9",
}
LISTS = [
    address
    for address in addresses("/api/")
    if "GET" in address.methods
    and (
        address.name.endswith("-list")
        or address.name.split("-")[-1] in {"revisions", "schedules", "sessions", "attempts"}
    )
]
SIZED = [(address, "page_size") for address in LISTS]
SIZED += [(address, "count") for address in LISTS if address.pattern in {"/api/projects", "/api/workflows"}]
NO_SIZES = ["0", "-1", "101", "1000000000", "1e3", "1.5", "ten", "", " 5", "+5", "٥", "9" * 5000, "true", "\0", "0x10"]
NO_IDS = ["-1", "1.0", "x", "", "0x10", "٥", str(2**63), "9" * 5000, "null", "1,2", "\0", "eyJpZCI6MX0=", "1 OR 1=1"]


def named(value: Any) -> str:
    return value.pattern if isinstance(value, Address) else f"{value[0].pattern} {value[1]}"


def test_a_file_of_a_log_is_one_of_that_attempts_and_nothing_else(
    visitor: Client, mine: Owned, untouched: Untouched
) -> None:
    with untouched():
        for name in PATHS:
            answer = visitor.get(f"/api/logs/{mine.attempt}/files/{name}")

            assert answer.status_code == 404, name
            assert answer["Content-Type"] == "application/json", name
            assert "X-Evil" not in answer


def test_the_file_that_is_there_is_answered(visitor: Client, mine: Owned) -> None:
    """Else the test before could not fail."""
    assert visitor.get(f"/api/logs/{mine.attempt}/files/{mine.log}").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_secret_is_kept_under_a_key_and_not_a_path(
    visitor: Client, mine: Owned, untouched: Untouched, method: str
) -> None:
    with untouched():
        for name in PATHS:
            path = f"/api/projects/{mine.project}/secrets/{name}"
            answer = visitor.generic(method, path, b'{"value": "x"}', content_type="application/json")

            assert answer.status_code in {400, 404, 405}, name
            assert answer["Content-Type"] == "application/json", name


def test_a_revision_and_a_workflow_are_names_and_not_paths(visitor: Client, mine: Owned, untouched: Untouched) -> None:
    with untouched():
        for name in PATHS:
            for path in (
                f"/api/projects/{mine.project}/archive?revision={name}",
                f"/api/projects/{mine.project}/workflows?revision={name}",
                f"/api/workflow?project={name}&name={name}",
                f"/api/project?name={name}",
                f"/api/projects/{mine.project}/workflow?name={name}",
                f"/api/projects/{mine.project}/workflows/{name}",
            ):
                assert visitor.get(path).status_code in {400, 404}, path


@pytest.mark.parametrize("address", LISTS, ids=named)
def test_parameters_that_we_do_not_have_change_nothing(visitor: Client, mine: Owned, address: Address) -> None:
    """Digdag passes over what it does not know, and clients send it more than it knows. No lookup is made of any."""
    path = address.filled(mine.of_api(address.pattern))
    plain = visitor.get(path)
    assert plain.status_code == 200

    for name, value in STRANGE.items():
        assert visitor.get(path, {name: value}).content == plain.content, name
    assert visitor.get(path, STRANGE).content == plain.content


@pytest.mark.parametrize("value", ["' OR 1=1--", "%' OR ''='", "%", "_", "(a+)+$", "\\", "x" * 5000, "\ud83d", "a;b"])
def test_a_filter_is_a_text_and_no_language(visitor: Client, mine: Owned, value: str) -> None:
    for path in ("projects", "workflows", "attempts", "schedules", "sessions"):
        for name in ("name", "name_pattern", "project", "workflow"):
            answer = visitor.get(f"/api/{path}", {name: value.encode("utf-8", "surrogatepass")})

            assert answer.status_code in {200, 404}, (path, name)
            if name in {"name", "name_pattern"} and path == "projects":
                assert answer.json() == {"projects": []}


def test_the_lists_of_the_admin_take_their_own_filters_alone(make_user: Any, mine: Owned) -> None:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    lists = [page for page in addresses("/admin/") if page.name.endswith("_changelist")]
    ours = [page for page in lists if page.pattern.split("/")[2] in {"projects", "scheduler"}]
    assert len(ours) > 8

    for page in ours:
        for name in (
            "user__password__startswith",
            "workflow__project__api_keys__digest__regex",
            "pk__in",
            "_connector",
        ):
            answer = client.get(page.pattern, {name: "(a+)+$"})

            assert answer.status_code in {302, 400}, (page, name)


@pytest.mark.parametrize("sized", SIZED, ids=named)
def test_a_size_of_a_page_that_is_none_is_named(visitor: Client, mine: Owned, sized: tuple[Address, str]) -> None:
    address, name = sized
    path = address.filled(mine.of_api(address.pattern))

    for value in NO_SIZES if name == "page_size" else {*NO_SIZES, "1001"} - {"101"}:
        answer = visitor.get(path, {name: value})

        assert (answer.status_code, list(answer.json()["errors"])) == (400, [name]), value[:20]


@pytest.mark.parametrize("address", LISTS, ids=named)
def test_a_place_to_go_on_from_that_is_none_is_named(visitor: Client, mine: Owned, address: Address) -> None:
    path = address.filled(mine.of_api(address.pattern))

    for value in NO_IDS:
        answer = visitor.get(path, {"last_id": value})

        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["last_id"]), value[:20]
