from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from projects import archives, secrets
from projects.models import Project, Revision
from scheduler.backfill import backfill
from scheduler.models import Attempt, Schedule
from scheduler.web.urls import urlpatterns

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


# Pages that ask for a right, and do something: each is tried beside what it does.
DOING = {
    *("project_push", "project_push_to", "project_delete", "workflow_start", "secrets", "secret_set", "secret_delete"),
    *("schedule_enable", "schedule_disable", "schedule_skip"),
    *("backfill_kill", "backfill_retry", "attempt_kill", "attempt_retry"),
}
OPEN = {"login", "logout", "healthz", "livez"}
LISTS = ("/", "/projects", "/backfills", "/attempts")


def status_of(client: Client, address: str) -> int:
    answer = client.get(address)
    if answer.streaming:
        answer.getvalue()  # an archive is a file, which is open until it was read
    return answer.status_code


@pytest.fixture
def addresses(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> list[str]:
    """Every page about one schedule."""
    attempt = make_attempt(schedule)
    plan = backfill(schedule_id=schedule.pk, attempt_name="fix", from_time=NOW, dry_run=False, now=NOW)
    assert plan.backfill
    project, revision = schedule.workflow.project_id, schedule.definition.revision_id
    Revision.objects.filter(pk=revision).update(archive=archives.store({"orders.dig": b"+a:\n"}))
    return [
        f"/projects/{project}",
        f"/projects/{project}/revisions/{revision}",
        f"/projects/{project}/revisions/{revision}/archive",
        f"/schedules/{schedule.pk}",
        f"/schedules/{schedule.pk}/backfill",
        f"/sessions/{attempt.session_id}",
        f"/attempts/{attempt.pk}",
        f"/attempts/{attempt.pk}/live",
        f"/attempts/{attempt.pk}/tasks",
        f"/attempts/{attempt.pk}/log",
        f"/attempts/{attempt.pk}/log.txt",
        f"/backfills/{plan.backfill.pk}",
        f"/backfills/{plan.backfill.pk}/progress",
    ]


def test_every_page_opens_for_who_may_see_it(page: Client, addresses: list[str]) -> None:
    answers = {address: status_of(page, address) for address in [*addresses, *LISTS]}

    assert set(answers.values()) == {200}, answers


def test_every_page_is_among_those_that_are_tried(addresses: list[str]) -> None:
    tried = {resolve(address).url_name for address in [*addresses, *LISTS]}

    assert {route.name for route in urlpatterns} == tried | DOING | OPEN


def test_every_page_asks_to_sign_in_and_comes_back(client: Client, addresses: list[str]) -> None:
    for address in [*addresses, *LISTS]:
        answer = client.get(address)

        assert answer.status_code == 302
        assert answer["Location"] == f"/login?next={address}"


def test_a_project_of_a_group_is_not_there_for_others(page: Client, schedule: Schedule, addresses: list[str]) -> None:
    schedule.workflow.project.groups.add(Group.objects.create(name="finance"))

    answers = {address: status_of(page, address) for address in addresses}
    lists = "".join(page.get(address).content.decode() for address in LISTS)

    assert set(answers.values()) == {404}, answers
    assert schedule.workflow.name not in lists
    assert schedule.workflow.project.name not in lists


def test_a_project_of_a_group_is_there_for_its_members(
    page: Client, operator: User, schedule: Schedule, addresses: list[str]
) -> None:
    group = Group.objects.create(name="finance")
    schedule.workflow.project.groups.add(group)
    operator.groups.add(group)

    assert {status_of(page, address) for address in addresses} == {200}


@pytest.mark.parametrize(("address", "table"), [("/attempts", "attempt"), ("/backfills", "backfill")])
def test_a_list_names_the_projects_that_it_is_of(
    page: Client, operator: User, schedule: Schedule, addresses: list[str], address: str, table: str
) -> None:
    group = Group.objects.create(name="finance")
    schedule.workflow.project.groups.add(group)
    operator.groups.add(group)

    with CaptureQueriesContext(connection) as queries:
        answer = page.get(address)

    (read,) = [
        query["sql"] for query in queries if f'FROM "scheduler_{table}"' in query["sql"] and "LIMIT" in query["sql"]
    ]
    assert answer.context["list"].rows
    assert "projectgroup" not in read
    assert "EXISTS" not in read


def test_a_superusers_lists_leave_out_deleted_projects_alone(
    page: Client, operator: User, schedule: Schedule, addresses: list[str]
) -> None:
    User.objects.filter(pk=operator.pk).update(is_superuser=True)
    schedule.workflow.project.groups.add(Group.objects.create(name="finance"))

    lists = ("/attempts", "/backfills")
    before = [len(page.get(address).context["list"].rows) for address in lists]
    Project.objects.update(deleted_at=NOW)

    assert before == [2, 1]
    assert [len(page.get(address).context["list"].rows) for address in lists] == [0, 0]


def test_what_is_done_with_a_project_of_a_group_is_not_there_for_others(
    client: Client, schedule: Schedule, make_user: Callable[..., User]
) -> None:
    rights = ("projects.add_revision", "projects.delete_project", "projects.change_secret", "scheduler.run_attempt")
    client.force_login(make_user("all", *rights))
    project = schedule.workflow.project
    secrets.put(project_id=project.pk, key="a", value="x", now=NOW)
    verbs = ["push", "delete", "secrets", "secrets/a/delete", f"workflows/{schedule.workflow_id}/start"]
    addresses = [f"/projects/{project.pk}/{verb}" for verb in verbs]
    before = [client.get(address).status_code for address in addresses]

    project.groups.add(Group.objects.create(name="finance"))

    assert set(before) == {200}
    assert [client.get(address).status_code for address in addresses] == [404] * len(verbs)
    assert [client.post(address).status_code for address in addresses if address[-7:] != "secrets"] == [404] * 4
    assert client.post(f"/projects/{project.pk}/secrets/set", {"key": "b", "value": "x"}).status_code == 404
    assert secrets.keys(project.pk) == ["a"]


@pytest.mark.parametrize(
    "address",
    [
        "/schedules/0",
        "/attempts/99999999",
        f"/sessions/{'9' * 30}",
        f"/backfills/{'9' * 5000}",
        f"/projects/{'9' * 30}",
        f"/projects/1/revisions/{'9' * 30}",
        f"/projects/{'9' * 30}/revisions/1",
        f"/projects/{'9' * 30}/revisions/1/archive",
        f"/projects/{'9' * 18}/revisions/{'9' * 18}",
    ],
)
def test_ids_that_are_not_there_are_not_found(page: Client, address: str) -> None:
    assert page.get(address).status_code == 404


@pytest.mark.parametrize(
    "query",
    ["after=x", f"after={'9' * 40}", "before=%00", "before=-1", "status=nope", "q=%00", "schedule=0", "before=2026"],
)
@pytest.mark.parametrize("address", LISTS)
def test_odd_parameters_of_lists_do_no_harm(page: Client, schedule: Schedule, address: str, query: str) -> None:
    assert page.get(f"{address}?{query}").status_code == 200


@pytest.mark.parametrize("name", ["before", "skipped_before"])
@pytest.mark.parametrize("time", ["x", "2026-03-02", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_odd_times_in_the_address_of_a_schedule_do_no_harm(
    page: Client, schedule: Schedule, name: str, time: str
) -> None:
    assert page.get(f"/schedules/{schedule.pk}?{name}={time}").status_code == 200


def test_a_fragment_asked_for_after_the_login_ended_reloads_its_page(client: Client, addresses: list[str]) -> None:
    answer = client.get(
        next(address for address in addresses if address.endswith("/live")), headers={"HX-Request": "true"}
    )

    assert answer["HX-Refresh"] == "true"


def test_signing_in_leads_back_to_the_page(client: Client, make_user: Callable[..., User]) -> None:
    make_user("ann")

    answer = client.post("/login", {"username": "ann", "password": "correct horse", "next": "/attempts"})

    assert answer["Location"] == "/attempts"


def test_signing_in_never_leads_to_another_site(client: Client, make_user: Callable[..., User]) -> None:
    make_user("ann")

    answer = client.post("/login", {"username": "ann", "password": "correct horse", "next": "https://elsewhere.test/"})

    assert answer["Location"] == "/"


def test_a_wrong_password_is_said_and_the_name_is_kept(client: Client, make_user: Callable[..., User]) -> None:
    make_user("ann")

    answer = client.post("/login", {"username": "ann", "password": "wrong"})

    assert b"correct username and password" in answer.content
    assert b'value="ann"' in answer.content


def test_signing_out_takes_a_post(page: Client) -> None:
    assert page.get("/logout").status_code == 405

    page.post("/logout")

    assert page.get("/").status_code == 302
