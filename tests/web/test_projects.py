"""The list of projects, and the page of one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from projects import secrets
from projects.models import Project, WorkflowDefinition
from projects.revisions import publish
from scheduler.models import Attempt, AttemptStatus, Schedule

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ECHO = {"+hello": {"echo>": "hello"}}
EVERYTHING = (
    "projects.add_revision",
    "projects.delete_project",
    "projects.change_secret",
    "scheduler.run_attempt",
    "scheduler.backfill_schedule",
)


@pytest.fixture
def master(make_user: Callable[..., User]) -> Client:
    """Signed in as somebody who may do everything with projects."""
    client = Client()
    client.force_login(make_user("maria", *EVERYTHING))
    return client


def text_of(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def names(client: Client, address: str) -> list[str]:
    return [row.name for row in client.get(address).context["list"].rows]


def test_without_projects_the_list_says_what_one_is_and_how_to_get_it(master: Client) -> None:
    html = text_of(master, "/projects")

    assert "A project is a folder of workflows" in html
    assert "manage.py push FOLDER" in html
    assert 'href="/projects/push"' in html


def test_the_list_shows_what_was_pushed_last_and_how_workflows_do(
    page: Client,
    operator: User,
    make_schedule: Callable[..., Schedule],
    make_attempt: Callable[..., Attempt],
) -> None:
    failing = make_schedule(name="orders")
    project = failing.workflow.project
    made = publish(
        project_name=project.name,
        revision_name="v2",
        documents={"orders": ECHO, "report": ECHO, "cleanup": ECHO},
        now=NOW,
        created_by=operator,
    )
    report = made.definitions.get(workflow__name="report")
    schedule = Schedule.objects.create(
        workflow=report.workflow, definition=report, disabled_at=NOW, created_at=NOW, updated_at=NOW, kind="cron",
        expression="0 * * * *",
    )  # fmt: skip
    make_attempt(failing, NOW - timedelta(hours=3))
    make_attempt(failing, NOW - timedelta(hours=2), status=AttemptStatus.ERROR)
    make_attempt(schedule, NOW - timedelta(hours=2))

    (row,) = page.get("/projects").context["list"].rows

    assert (row.revision, row.by, row.contents.workflows) == ("v2", "olga", 3)
    assert row.contents.schedules == "1 on, 1 off"
    assert [state.word for state in row.contents.tallies] == ["1 error", "1 success"]


def test_the_list_is_read_to_its_end_by_name(page: Client) -> None:
    Project.objects.bulk_create(Project(name=f"p{number:03}", created_at=NOW) for number in range(120))

    first = page.get("/projects").context["list"]
    second = page.get(f"/projects{first.next_href}").context["list"]
    third = page.get(f"/projects{second.next_href}").context["list"]

    shown = [row.name for part in (first, second, third) for row in part.rows]
    assert shown == [f"p{number:03}" for number in range(120)]
    assert third.next_href == ""


def test_the_list_is_narrowed_by_a_part_of_the_name_and_keeps_that(page: Client) -> None:
    Project.objects.bulk_create(Project(name=f"Shop{number}", created_at=NOW) for number in range(60))
    Project.objects.create(name="bank", created_at=NOW)

    first = page.get("/projects?q=shop").context["list"]

    assert "bank" not in [row.name for row in first.rows]
    assert "q=shop" in first.next_href
    assert "No project has" in text_of(page, "/projects?q=nothing")


def test_the_list_takes_the_same_queries_for_three_and_for_many(
    page: Client, make_definition: Callable[..., WorkflowDefinition], django_assert_num_queries: Callable[[int], Any]
) -> None:
    for number in range(3):
        make_definition(project=f"p{number}")
    with django_assert_num_queries(9):
        page.get("/projects")
    for number in range(3, 60):
        make_definition(project=f"p{number}")

    with django_assert_num_queries(9):
        answer = page.get("/projects")

    assert len(answer.content) < 100_000


def test_deleted_and_hidden_projects_are_not_listed(page: Client) -> None:
    Project.objects.create(name="gone", created_at=NOW, deleted_at=NOW)
    hidden = Project.objects.create(name="hidden", created_at=NOW)
    hidden.groups.add(Group.objects.create(name="others"))
    Project.objects.create(name="open", created_at=NOW)

    assert names(page, "/projects") == ["open"]


def test_a_project_shows_its_workflows_with_and_without_schedules(
    master: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    project = schedule.workflow.project
    revision = publish(
        project_name="sales", revision_name="v2", documents={"hourly_report": ECHO, "by_hand": ECHO}, now=NOW
    )
    make_attempt(schedule, NOW, status=AttemptStatus.ERROR)
    by_hand = revision.definitions.get(workflow__name="by_hand")

    html = text_of(master, f"/projects/{project.pk}")

    assert f'href="/schedules/{schedule.pk}"' in html
    assert f'href="/schedules/{schedule.pk}/backfill"' in html
    assert f'href="/projects/{project.pk}/workflows/{by_hand.workflow_id}/start"' in html
    assert "no schedule, UTC" in html
    assert "never run" in html


def test_the_workflows_of_a_project_are_paged_and_narrowed(page: Client) -> None:
    documents = {f"w{number:03}": ECHO for number in range(70)}
    project = publish(project_name="many", revision_name="v1", documents=documents, now=NOW).project

    first = page.get(f"/projects/{project.pk}").context["workflows"]
    second = page.get(f"/projects/{project.pk}{first.next_href}").context["workflows"]
    found = page.get(f"/projects/{project.pk}?q=W069").context["workflows"]

    assert [row.name for row in (*first.rows, *second.rows)] == sorted(documents)
    assert [row.name for row in found.rows] == ["w069"]
    assert "No workflow has" in text_of(page, f"/projects/{project.pk}?q=x")


def test_the_page_of_a_project_takes_the_same_queries_however_much_is_in_it(
    page: Client, make_schedule: Callable[..., Schedule], django_assert_num_queries: Callable[[int], Any]
) -> None:
    few, many = (make_schedule(project=name).workflow.project for name in ("few", "many"))
    for project, count in ((few, 2), (many, 60)):
        for revision in ("a", "b", "c"):
            documents = {f"w{number:03}": {**ECHO, "v": revision} for number in range(count)}
            publish(project_name=project.name, revision_name=revision, documents=documents, now=NOW)

    for project in (few, many):
        with django_assert_num_queries(11):
            answer = page.get(f"/projects/{project.pk}")

    assert len(answer.content) < 100_000


def test_revisions_say_what_changed(page: Client) -> None:
    def push(name: str, **documents: Any) -> Project:
        files = {"a.txt": name.encode()}
        made = publish(project_name="sales", revision_name=name, documents=documents, files=files, now=NOW)
        return made.project

    other = {"+other": {"echo>": "x"}}
    push("v1", orders=ECHO, report=ECHO)
    push("v2", orders=other, shop=ECHO, report=ECHO)
    push("v3", orders=other, shop=ECHO)
    project = push("v4", orders=other, shop=ECHO)

    rows = page.get(f"/projects/{project.pk}").context["revisions"].rows

    assert [(row.name, row.changes) for row in rows] == [
        ("v4", "no workflow, only other files"),
        ("v3", "removed report"),
        ("v2", "changed orders; added shop"),
        ("v1", "first revision, with orders, report"),
    ]


def test_revisions_are_paged_and_the_oldest_of_a_page_is_compared_too(page: Client) -> None:
    for number in range(13):
        made = publish(
            project_name="sales", revision_name=f"r{number}", documents={"w": {**ECHO, "v": number // 5}}, now=NOW
        )

    first = page.get(f"/projects/{made.project_id}").context["revisions"]
    second = page.get(f"/projects/{made.project_id}{first.next_href}").context["revisions"]

    assert [row.name for row in (*first.rows, *second.rows)] == [f"r{number}" for number in range(12, -1, -1)]
    assert first.rows[-1].changes == "the same files"
    assert second.rows[-1].changes == "first revision, with w"


def test_keys_of_secrets_are_shown_to_who_may_keep_them(master: Client, page: Client) -> None:
    project = publish(project_name="sales", revision_name="v1", documents={"w": ECHO}, now=NOW).project
    secrets.put(project_id=project.pk, key="db.password", value="hunter2", now=NOW)

    html = {client: text_of(client, f"/projects/{project.pk}") for client in (master, page)}

    assert "db.password" in html[master]
    assert "hunter2" not in html[master]
    assert "db.password" not in html[page]


def test_who_may_only_look_is_offered_nothing(onlooker: Client, schedule: Schedule) -> None:
    project = schedule.workflow.project_id

    html = text_of(onlooker, f"/projects/{project}")

    assert not [verb for verb in ("/push", "/delete", "/start", "/secrets", "/backfill") if f'{verb}"' in html]


def test_an_empty_project_says_how_to_fill_it(page: Client) -> None:
    project = Project.objects.create(name="new", created_at=NOW)

    assert "Nothing was pushed to this project yet" in text_of(page, f"/projects/{project.pk}")
    assert "nothing pushed yet" in text_of(page, "/projects")


def test_a_schedule_page_leads_to_its_project(page: Client, schedule: Schedule) -> None:
    assert f'href="/projects/{schedule.workflow.project_id}"' in text_of(page, f"/schedules/{schedule.pk}")
