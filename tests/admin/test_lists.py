"""Lists: each answers, in a fixed number of queries, without counting or scanning large tables."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from projects.models import Allowance, ApiKey, Project, ProjectGroup, Revision, Secret, Workflow, WorkflowDefinition
from scheduler.models import (
    Attempt,
    Backfill,
    Heartbeat,
    Leadership,
    LogChunk,
    LogFile,
    Pool,
    Schedule,
    Session,
    Skip,
    TaskRun,
)

# Groups are on the page of their project; the others are counters and notes of processes.
WITHOUT_A_LIST = {ProjectGroup, Allowance, Heartbeat, Leadership}
MODELS = [
    model
    for app in ("projects", "scheduler")
    for model in apps.get_app_config(app).get_models()
    if model not in WITHOUT_A_LIST
]
LARGE = [Session, Attempt, Backfill, TaskRun, LogChunk, LogFile, Skip, Revision, WorkflowDefinition]
Populate = Callable[[int], None]


def list_of(model: type) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row: object) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def statements(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.get(url)
    assert response.status_code == 200, url
    return [query["sql"] for query in queries]


def shown(client: Client, url: str) -> list[int]:
    return [row.pk for row in client.get(url).context["cl"].result_list]


def test_every_model_of_ours_is_in_the_admin() -> None:
    ours = {model for model in admin.site._registry if model._meta.app_label in ("projects", "scheduler")}

    assert ours == set(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_list_takes_as_many_queries_for_sixty_rows_as_for_three(
    model: type, superuser_client: Client, populate: Populate
) -> None:
    populate(3)
    superuser_client.get(list_of(model))
    few = len(statements(superuser_client, list_of(model)))
    populate(57)

    many = len(statements(superuser_client, list_of(model)))

    assert many == few
    assert many <= 9


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_list_and_every_rows_page_answers_to_staff_who_may_look(
    model: type, populate: Populate, make_staff: Callable[..., User], enter: Callable[[User], Client]
) -> None:
    staff = make_staff()
    populate(2)
    ApiKey.objects.update(user=staff)
    client = enter(staff)

    answers = [client.get(list_of(model)), client.get(page_of(model.objects.first()))]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(answers[0].context["cl"].result_list) == 2


@pytest.mark.parametrize("model", LARGE, ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "query", ["", "?q=1", "?q=w1", "?q=2b91a014-076e-4c6d-8b51-f4f91089cab2", "?next=5", "?previous=1"]
)
def test_no_large_table_is_counted(model: type, query: str, superuser_client: Client, populate: Populate) -> None:
    populate(3)

    sql = statements(superuser_client, list_of(model) + query)

    assert not [text for text in sql if re.search(r"count\s*\(", text, re.IGNORECASE)]
    assert not [text for text in sql if re.search(r"like|upper\(", text, re.IGNORECASE) and "scheduler_attempt" in text]


def test_a_long_list_is_read_to_its_end_and_back_by_key(superuser_client: Client, populate: Populate) -> None:
    populate(120)
    everything = list(Attempt.objects.order_by("-pk").values_list("pk", flat=True))
    url = list_of(Attempt)

    pages, changelist = [], superuser_client.get(url).context["cl"]
    pages.append([row.pk for row in changelist.result_list])
    while changelist.next_url:
        changelist = superuser_client.get(url + changelist.next_url).context["cl"]
        pages.append([row.pk for row in changelist.result_list])
    back = superuser_client.get(url + changelist.previous_url).context["cl"]
    first = superuser_client.get(url + back.previous_url).context["cl"]

    assert [len(page) for page in pages] == [50, 50, 20]
    assert [pk for page in pages for pk in page] == everything
    assert [row.pk for row in back.result_list] == pages[1]
    assert [row.pk for row in first.result_list] == pages[0]
    assert first.previous_url == ""
    assert first.next_url


def test_filters_do_not_keep_the_page_and_pages_keep_the_filters(superuser_client: Client, populate: Populate) -> None:
    populate(60)
    second = Attempt.objects.order_by("-pk")[1].pk

    html = superuser_client.get(f"{list_of(Attempt)}?status__exact=success&next={second}").content.decode()

    assert "status__exact=error" in html
    assert not re.search(rf'href="\?[^"]*next={second}', html)
    assert re.search(r'href="\?next=\d+&amp;status__exact=success"', html)


@pytest.mark.parametrize(
    ("model", "parameter", "to"),
    [
        (Session, "workflow", Workflow),
        (Session, "project", Project),
        (Attempt, "session", Session),
        (Attempt, "workflow", Workflow),
        (Attempt, "backfill", Backfill),
        (TaskRun, "attempt", Attempt),
        (LogChunk, "attempt", Attempt),
        (LogFile, "attempt", Attempt),
        (Backfill, "schedule", Schedule),
        (Backfill, "workflow", Workflow),
        (Skip, "schedule", Schedule),
        (Schedule, "project", Project),
        (Schedule, "workflow", Workflow),
        (Workflow, "project", Project),
        (Revision, "project", Project),
        (WorkflowDefinition, "workflow", Workflow),
        (WorkflowDefinition, "revision", Revision),
        (WorkflowDefinition, "project", Project),
        (Secret, "project", Project),
        (ApiKey, "project", Project),
    ],
)
def test_a_link_narrows_a_list_to_the_rows_of_another(
    model: type, parameter: str, to: type, superuser_client: Client, populate: Populate
) -> None:
    populate(3)
    second = to.objects.order_by("pk")[1]
    expected = model.objects.order_by("pk")[1]

    found = shown(superuser_client, f"{list_of(model)}?{parameter}={second.pk}")

    assert found == [expected.pk]


def test_rows_link_to_what_belongs_to_them(superuser_client: Client, populate: Populate) -> None:
    populate(1)
    schedule, session, attempt = Schedule.objects.get(), Session.objects.get(), Attempt.objects.get()
    links = {
        Project: [f"{list_of(Schedule)}?project={schedule.workflow.project_id}"],
        Workflow: [f"{list_of(Session)}?workflow={schedule.workflow_id}"],
        Schedule: [f"{list_of(Session)}?workflow={schedule.workflow_id}", page_of(schedule.workflow.project)],
        Session: [f"{list_of(Attempt)}?session={session.pk}", page_of(session.workflow), page_of(attempt)],
        Attempt: [f"{list_of(TaskRun)}?attempt={attempt.pk}", page_of(session), page_of(attempt.backfill)],
        TaskRun: [page_of(attempt)],
        Backfill: [f"{list_of(Attempt)}?backfill={attempt.backfill_id}", page_of(schedule)],
    }

    missing = [
        (model.__name__, link)
        for model, expected in links.items()
        for html in [superuser_client.get(list_of(model)).content.decode()]
        for link in expected
        if f'href="{link}"' not in html
    ]

    assert missing == []


def test_the_log_of_one_attempt_reads_from_its_beginning(superuser_client: Client, populate: Populate) -> None:
    populate(2)
    attempt = Attempt.objects.order_by("pk")[0]
    last = LogChunk.objects.create(attempt=attempt, position=0, text="bye", written_at=attempt.created_at)
    first = attempt.log.order_by("pk")[0]

    found = shown(superuser_client, f"{list_of(LogChunk)}?attempt={attempt.pk}")

    assert found == [first.pk, last.pk]


def test_attempts_are_found_by_id_session_uuid_and_backfill(superuser_client: Client, populate: Populate) -> None:
    populate(3)
    attempt = Attempt.objects.order_by("pk")[1]

    found = [
        shown(superuser_client, f"{list_of(Attempt)}?q={text}")
        for text in (attempt.pk, attempt.session.uuid, attempt.name, "nothing of that name")
    ]

    assert found == [[attempt.pk], [attempt.pk], [attempt.pk], []]


def test_schedules_are_found_by_part_of_a_name(
    superuser_client: Client, make_schedule: Callable[..., Schedule]
) -> None:
    wanted = make_schedule(name="nightly_load", project="sales")
    make_schedule(name="hourly", project="finance")

    found = [shown(superuser_client, f"{list_of(Schedule)}?q={text}") for text in ("LOAD", "ales", str(wanted.pk))]

    assert found == [[wanted.pk]] * 3


@pytest.mark.parametrize(
    "query", ["?workflow=x", "?next=x", "?session=1%27", "?next=99999999999999999999999", "?previous=-1"]
)
def test_a_crooked_address_leads_back_to_the_list(query: str, superuser_client: Client, populate: Populate) -> None:
    populate(1)

    response = superuser_client.get(list_of(Attempt) + query)

    assert (response.status_code, response["Location"]) == (302, f"{list_of(Attempt)}?e=1")


@pytest.mark.parametrize(
    "query", ["?worker__contains=x", "?params__icontains=x", "?session__uuid=x", "?status__exact=%00", "?workflow=%00"]
)
def test_lookups_that_the_list_does_not_offer_are_refused(query: str, superuser_client: Client) -> None:
    response = superuser_client.get(list_of(Attempt) + query)

    assert response.status_code == 400


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "query", ["?q=%00", "?q=%25", "?o=9.-9.x", "?p=x", "?p=99999999999999999999", "?q=" + "9" * 40]
)
def test_no_address_breaks_a_list(model: type, query: str, superuser_client: Client, populate: Populate) -> None:
    populate(1)

    response = superuser_client.get(list_of(model) + query)

    assert response.status_code in (200, 302)


def test_staff_see_rows_of_the_projects_that_they_may_see(
    populate: Populate, make_staff: Callable[..., User], enter: Callable[[User], Client]
) -> None:
    populate(3)
    staff = make_staff()
    mine, others = Group.objects.create(name="mine"), Group.objects.create(name="others")
    staff.groups.add(mine)
    _open_to_all, shared, closed = Project.objects.order_by("pk")
    shared.groups.add(mine, others)
    closed.groups.add(others)
    client = enter(staff)

    counts = {model.__name__: len(shown(client, list_of(model))) for model in MODELS if model not in (Pool, ApiKey)}
    hidden = client.get(page_of(Attempt.objects.get(session__workflow__project=closed)))

    assert set(counts.values()) == {2}
    assert hidden.status_code == 302


@pytest.mark.parametrize("model", LARGE, ids=lambda model: model.__name__)
def test_a_list_of_a_member_of_a_group_names_the_projects_that_it_is_of(
    model: type, populate: Populate, make_staff: Callable[..., User], enter: Callable[[User], Client]
) -> None:
    populate(2)
    client = enter(make_staff())

    sql = statements(client, list_of(model))

    closed = [text for text in sql if "projects_projectgroup" in text]
    assert closed
    assert not [text for text in closed if f'FROM "{model._meta.db_table}"' in text]


def test_a_hostile_name_is_shown_as_text(superuser_client: Client, make_schedule: Callable[..., Schedule]) -> None:
    evil = "<script>alert(1)</script>"
    schedule = make_schedule(name=evil, project=evil)
    pages = [list_of(model) for model in (Project, Workflow, Schedule, Revision)] + [page_of(schedule)]

    html = [superuser_client.get(url).content.decode() for url in pages]

    assert all(evil not in text for text in html)
    assert all("&lt;script&gt;" in text for text in html)


def test_a_schedule_that_holds_no_timetable_does_not_break_its_list(
    superuser_client: Client, schedule: Schedule
) -> None:
    Schedule.objects.update(expression="61 * * * *", timezone="Mars/Olympus")

    answers = [superuser_client.get(url) for url in (list_of(Schedule), page_of(schedule))]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert "not a timetable" in answers[0].content.decode()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_page_needs_inline_scripts_or_styles(model: type, superuser_client: Client, populate: Populate) -> None:
    populate(1)

    html = [superuser_client.get(url).content.decode() for url in (list_of(model), page_of(model.objects.get()))]

    for text in html:
        assert not re.search(r"<script(?![^>]*src=)[^>]*>\s*\S", text)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)


def test_states_are_drawn_by_the_sheet_of_the_pages(superuser_client: Client) -> None:
    html = superuser_client.get(list_of(Attempt)).content.decode()
    own = Path(str(finders.find("hindcast/admin.css"))).read_text()

    assert "hindcast/states.css" in html
    assert not re.search(r"\.is-|\.shape|\.state\b", own)


def test_the_index_is_in_the_order_of_the_work(superuser_client: Client) -> None:
    apps = superuser_client.get(reverse("admin:index")).context["app_list"]

    assert [app["app_label"] for app in apps] == ["scheduler", "projects", "django_celery_beat", "auth"]
    assert [model["object_name"] for model in apps[0]["models"]][:4] == ["Schedule", "Session", "Attempt", "Backfill"]
