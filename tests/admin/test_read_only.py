"""Nothing in the admin writes state around the verbs, not even for superusers."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from projects.models import Project, Revision, Workflow, WorkflowDefinition
from scheduler.models import Attempt, AttemptStatus, Backfill, LogChunk, LogFile, Pool, Schedule, Session, Skip, TaskRun

UNTOUCHED = [
    *(Revision, Workflow, WorkflowDefinition),
    *(Schedule, Session, Attempt, Backfill, TaskRun, LogChunk, LogFile, Skip),
]
Populate = Callable[[int], None]


def url(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", UNTOUCHED, ids=lambda model: model.__name__)
def test_a_superuser_cannot_add_change_or_delete(model: type, superuser_client: Client, populate: Populate) -> None:
    populate(1)
    row = model.objects.get()
    before = model.objects.values().get()
    sent = {field.name: "1" for field in model._meta.fields} | {"status": "error", "post": "yes"}

    answers = [
        superuser_client.post(url(model, "add"), sent),
        superuser_client.post(url(model, "change", row.pk), sent),
        superuser_client.post(url(model, "delete", row.pk), sent),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert model.objects.values().get() == before


@pytest.mark.parametrize("model", [*UNTOUCHED, Project, Pool], ids=lambda model: model.__name__)
def test_no_list_offers_to_delete(model: type, superuser_client: Client, populate: Populate) -> None:
    populate(1)
    row = model.objects.get()
    sent = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}

    superuser_client.post(url(model, "changelist"), sent)

    assert model.objects.filter(pk=row.pk).exists()


def test_who_may_see_a_project_can_be_changed_and_its_name_cannot(superuser_client: Client, populate: Populate) -> None:
    populate(1)
    project, group = Project.objects.get(), Group.objects.create(name="ops")
    rows = {"TOTAL_FORMS": 1, "INITIAL_FORMS": 0, "0-project": project.pk, "0-group": group.pk}
    sent = {"name": "other", **{f"access-{name}": value for name, value in rows.items()}}

    response = superuser_client.post(url(Project, "change", project.pk), sent)

    project.refresh_from_db()
    assert response.status_code == 302
    assert project.name == "p0"
    assert list(project.groups.all()) == [group]
    assert superuser_client.post(url(Project, "add"), {"name": "new"}).status_code == 403
    assert superuser_client.post(url(Project, "delete", project.pk), {"post": "yes"}).status_code == 403


def test_a_pool_can_be_made_and_resized(superuser_client: Client) -> None:
    made = superuser_client.post(url(Pool, "add"), {"name": "db", "slots": "2"})
    pool = Pool.objects.get()

    changed = superuser_client.post(url(Pool, "change", pool.pk), {"name": "database", "slots": "5"})

    pool.refresh_from_db()
    assert (made.status_code, changed.status_code) == (302, 302)
    assert (pool.name, pool.slots) == ("database", 5)


@pytest.mark.parametrize("slots", ["-1", "x", "", "99999999999999999999"])
def test_a_pool_with_a_wrong_size_is_refused_beside_the_field(slots: str, superuser_client: Client) -> None:
    response = superuser_client.post(url(Pool, "add"), {"name": "db", "slots": slots})

    assert response.status_code == 200
    assert response.context["adminform"].errors.keys() == {"slots"}
    assert not Pool.objects.exists()


def test_a_live_attempt_is_only_looked_at(
    superuser_client: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus.RUNNING)

    page = superuser_client.get(url(Attempt, "change", attempt.pk))
    answer = superuser_client.post(url(Attempt, "change", attempt.pk), {"status": "success"})

    attempt.refresh_from_db()
    assert b'name="_save"' not in page.content
    assert answer.status_code == 403
    assert attempt.status == AttemptStatus.RUNNING


def test_a_group_that_a_project_is_for_cannot_be_deleted_in_the_admin(
    superuser_client: Client, populate: Populate
) -> None:
    populate(1)
    group = Group.objects.create(name="ops")
    Project.objects.get().groups.add(group)

    one = superuser_client.post(url(Group, "delete", group.pk), {"post": "yes"})
    superuser_client.post(
        url(Group, "changelist"), {"action": "delete_selected", "_selected_action": group.pk, "post": "yes"}
    )

    assert one.status_code in (200, 403)
    assert list(Project.objects.get().groups.all()) == [group]
