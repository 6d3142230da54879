"""What belongs to others is not there: no answer about it differs from one about nothing."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from projects.models import Project
from scheduler.models import Attempt, Schedule
from tests.api.attacks.world import HIDDEN, METHODS, MINE, THEIRS, WHEN, Address, Owned, addresses, content_of, groups

Untouched = Callable[[], AbstractContextManager[None]]

API = addresses("/api/")
ABOUT_ONE = [address for address in API if address.places]
LISTS = [address for address in API if not address.places and "GET" in address.methods and address.name != "api-docs"]
OPEN = {"api-version", "api-version-check", "api-schema", "api-docs", "healthz", "livez", "metrics", "login", "logout"}
PAGES = [
    address
    for address in addresses("/")
    if not address.pattern.startswith(("/api/", "/admin/")) and address.name not in OPEN
]
ADMIN = addresses("/admin/")
NO_PROJECTS = {"apikey", "pool", "allowance"}  # no row of these is of a project, or it says so itself
OF_A_ROW = [
    address
    for address in ADMIN
    if {"object_id", "id"} & {*address.places}
    and address.pattern.split("/")[2] in {"projects", "scheduler"}
    and address.pattern.split("/")[3] not in NO_PROJECTS
]
CLOSED = [
    address
    for address in addresses("/")
    if address.name not in OPEN - {"metrics"} and address.pattern != "/admin/login/"
]
NAMES = ["~", "*", "-1", "", "%", "_", "theirs", "THEIRS-9F2", "theirs-9f2 ", "mine-3c1' OR 1=1--", "\\", "0", "null"]
# What differs from one page to the next, whatever it shows.
CHANGING = re.compile(r'name="csrfmiddlewaretoken" value="\w+"|"X-CSRFToken": "\w+"')


def reveals(answer: Any) -> bool:
    return HIDDEN.encode() in content_of(answer)


# --- one thing of theirs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("some", groups(ABOUT_ONE))
def test_whatever_is_asked_of_the_api_about_what_is_theirs_is_not_found(
    intruder: Client, mine: Owned, theirs: Owned, untouched: Untouched, some: list[Address]
) -> None:
    query = f"session_time={WHEN}&name={HIDDEN}-workflow"
    with untouched():
        for address, method in product(some, METHODS):
            answer, other = (
                intruder.generic(
                    method,
                    f"{address.filled(values)}?{query}",
                    theirs.body_of(address),
                    content_type="application/json",
                )
                for values in (theirs.of_api(address.pattern), {"pk": 10**9, "key": "a", "name": "a"})
            )

            assert answer.status_code == (404 if method in address.methods else 405), (method, address)
            assert not reveals(answer), (method, address)
            assert (answer.status_code, sorted(answer.headers)) == (other.status_code, sorted(other.headers))


def test_the_same_asked_about_what_is_mine_is_answered(intruder: Client, mine: Owned) -> None:
    """Else the test before could not fail."""
    for address in ABOUT_ONE:
        if "GET" in address.methods:
            answer = intruder.get(
                address.filled(mine.of_api(address.pattern)),
                {"session_time": WHEN, "mode": "hour", "name": f"{MINE}-workflow"},
            )

            assert (answer.status_code, bool(content_of(answer))) == (200, True), address


def test_a_session_of_theirs_is_not_started(intruder: Client, theirs: Owned, untouched: Untouched) -> None:
    body = theirs.bodies()["api-attempt-list"]

    with untouched():
        answer = intruder.put("/api/attempts", body, content_type="application/json")

    assert answer.status_code == 404


def test_a_retry_does_not_reach_into_an_attempt_of_theirs(
    intruder: Client, mine: Owned, theirs: Owned, untouched: Untouched
) -> None:
    resume = {"mode": "failed", "attemptId": str(theirs.attempt)}
    body = mine.bodies()["api-attempt-list"] | {"resume": resume}

    with untouched():
        answer = intruder.put("/api/attempts", body, content_type="application/json")

    assert answer.status_code == 400
    assert "has no attempt" in answer.json()["message"]


def test_nothing_is_pushed_to_a_project_of_theirs(
    intruder: Client, theirs: Owned, untouched: Untouched, pushed: bytes
) -> None:
    with untouched():
        answer = intruder.generic(
            "PUT", f"/api/projects?project={THEIRS}&revision=r9", pushed, content_type="application/gzip"
        )

    assert answer.status_code == 404


@pytest.mark.parametrize("some", groups([page for page in PAGES if page.places]))
def test_every_page_about_what_is_theirs_is_not_found(
    visitor: Client, theirs: Owned, untouched: Untouched, some: list[Address]
) -> None:
    with untouched():
        for path in (address.filled(theirs.of_pages()) for address in some):
            answers = [visitor.get(path), visitor.post(path, {"action": "start", "confirm": "yes"}), visitor.head(path)]

            assert {answer.status_code for answer in answers} <= {404, 405}, path
            assert answers[0].status_code == 404 or answers[1].status_code == 404, path
            assert all(not reveals(answer) for answer in answers), path


@pytest.mark.parametrize("some", groups(OF_A_ROW))
def test_every_page_of_the_admin_about_what_is_theirs_says_that_it_is_not_there(
    visitor: Client, theirs: Owned, untouched: Untouched, some: list[Address]
) -> None:
    with untouched():
        for path in (address.filled(theirs.of_admin(address.pattern)) for address in some):
            answers = [visitor.get(path), visitor.post(path, {"post": "yes"})]

            assert {answer.status_code for answer in answers} <= {302, 403, 404}, path
            assert all(not reveals(answer) for answer in answers), path


# --- lists and counts ----------------------------------------------------------------------------------------


def shown(client: Client, path: str, query: dict[str, str]) -> str:
    return CHANGING.sub("", client.get(path, query).content.decode())


def test_a_list_is_the_same_whether_theirs_is_there_or_not(
    visitor: Client, mine: Owned, make_theirs: Callable[[], Owned]
) -> None:
    """Names, counts, and the links to further pages with them."""
    queries = [
        {},
        {"include_retried": "true"},
        {"name_pattern": "9f2"},
        {"q": THEIRS},
        {"page_size": "1"},
        {"count": "1"},
    ]
    queries += [{"project": THEIRS}, {"workflow": f"{THEIRS}-workflow"}, {"name": THEIRS}]
    asked = list(product([*LISTS, *(page for page in PAGES if not page.places)], queries))
    before = [shown(visitor, address.pattern, query) for address, query in asked]
    make_theirs()

    for (address, query), shown_before in zip(asked, before, strict=True):
        assert shown(visitor, address.pattern, query) == shown_before, (address, query)


def test_the_lists_of_the_admin_show_nothing_of_theirs(visitor: Client, mine: Owned, theirs: Owned) -> None:
    lists = [page for page in ADMIN if page.name.endswith("_changelist")]
    assert len(lists) > 10

    for page in lists:
        for query in ({}, {"q": THEIRS}, {"all": ""}):
            answer = visitor.get(page.pattern, query)

            assert not reveals(answer), page
            assert query.get("q") or THEIRS not in answer.content.decode()
            assert answer.status_code in {200, 302, 403}, page


def test_the_completions_of_the_admin_show_nothing_of_theirs(visitor: Client, mine: Owned, theirs: Owned) -> None:
    for model, field in (("schedule", "workflow"), ("apikey", "project"), ("attempt", "session")):
        app = "projects" if model == "apikey" else "scheduler"
        query = {"app_label": app, "model_name": model, "field_name": field, "term": ""}

        answer = visitor.get("/admin/autocomplete/", query)

        assert not reveals(answer)
        assert answer.status_code in {200, 403, 404}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_means_all_elsewhere_means_nothing_here(
    intruder: Client, mine: Owned, theirs: Owned, name: str
) -> None:
    asked = [
        f"{address.pattern}?{field}={quote(name)}"
        for address in LISTS
        for field in ("project", "workflow", "name", "name_pattern")
    ]
    asked += [
        f"/api/projects/{mine.project}/{part}?workflow={quote(name)}" for part in ("schedules", "sessions", "workflows")
    ]

    for path in asked:
        answer = intruder.get(path)

        assert answer.status_code in {200, 400, 404}, path
        assert not reveals(answer), path


@pytest.mark.parametrize(
    "field", ["project", "workflow", "name", "name_pattern", "last_id", "page_size", "count", "order"]
)
def test_a_parameter_that_is_given_twice_opens_nothing(
    intruder: Client, mine: Owned, theirs: Owned, field: str
) -> None:
    for address in LISTS:
        for pair in ((MINE, THEIRS), (THEIRS, MINE)):
            answer = intruder.get(address.pattern, {field: list(pair)})

            assert answer.status_code in {200, 400, 404}, address
            assert not reveals(answer), address


def test_names_that_begin_alike_are_not_taken_for_each_other(
    make_api: Any, make_user: Any, make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    for name in ("dag_a", "dag_attacker", "aaa", "a"):
        make_attempt(make_schedule(project=name, name="w"))
    board = Group.objects.create(name="board")
    for hidden in ("dag_attacker", "aaa", "a"):
        Project.objects.get(name=hidden).groups.add(board)
    user = make_user("ann")

    for api in (make_api(user), make_api(user, project=Project.objects.get(name="dag_a"))):
        for path in ("schedules", "sessions", "attempts", "projects", "workflows"):
            (found,) = api.get(path).json()[path]
            assert found.get("project", found)["name"] == "dag_a"
        assert api.get("attempts", project="dag_a").json()["attempts"]
        for other in ("dag_attacker", "aaa", "a", "dag_", "dag_a "):
            assert api.get("attempts", project=other).status_code == 404
            assert api.get("projects", name=other).json() == {"projects": []}
            assert api.get("workflow", project=other, name="w").status_code == 404


def test_the_id_where_another_users_page_ended_shows_no_more_than_any_number(
    intruder: Client, mine: Owned, theirs: Owned
) -> None:
    for address in LISTS:
        for pk in (theirs.attempt, theirs.session, theirs.schedule, theirs.project, theirs.definition):
            for number in (pk - 1, pk, pk + 1):
                assert not reveals(intruder.get(address.pattern, {"last_id": number}))


# --- every address, by every way to write it -----------------------------------------------------------------


def variants(path: str) -> list[str]:
    return [
        path,
        f"{path}/",
        f"{path}.json",
        f"{path}.csv",
        f"{path}?format=json",
        f"/{path}",
        path.upper(),
        f"{path}%00",
    ]


@pytest.mark.parametrize("some", groups(CLOSED))
def test_nobody_gets_in_anywhere_without_being_somebody(
    stranger: Client, mine: Owned, untouched: Untouched, some: list[Address]
) -> None:
    with untouched():
        for address, method, path in ways_in(some, mine):
            answer = stranger.generic(method, path, mine.body_of(address), content_type="application/json")

            turned_away = answer.status_code in {401, 403, 404, 405}
            asked_in = answer.status_code in {301, 302} and re.search(
                "/login/?\\?next=|/login/$|[^?]+/(\\?.*)?$", answer["Location"]
            )
            assert turned_away or asked_in, (method, path, answer.status_code)
            assert MINE.encode() not in answer.content


def ways_in(some: list[Address], mine: Owned) -> Iterator[tuple[Address, str, str]]:
    """Every method; of what is written in another way, one that reads and one that writes."""
    for address in some:
        values = {**mine.of_pages(), **mine.of_admin(address.pattern)}
        values |= mine.of_api(address.pattern) if address.pattern.startswith("/api/") else {}
        plain, *others = variants(address.filled(values))
        yield from ((address, method, plain) for method in METHODS)
        yield from ((address, method, path) for path in others for method in ("GET", "POST"))
