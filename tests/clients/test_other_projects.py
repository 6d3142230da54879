"""`require>` of a workflow of another project, as Digdag's documentation has it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group

from projects.models import Project, Revision
from scheduler import starting
from scheduler.models import Attempt, Session
from tests.clients.to_the_end import run_to_the_end

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def harbour(push: Callable[..., Revision], write: Callable[..., str]) -> Project:
    """A project with a workflow `tides`, in its second revision."""
    push(write({"tides.dig": "+x:\n  fail>: old\n"}, folder="harbour"), project="harbour")
    new = push(write({"tides.dig": "+x:\n  echo>: high\n"}, folder="harbour"), project="harbour", revision_name="r2")
    return new.project


@pytest.fixture
def ended(push: Callable[..., Revision], write: Callable[..., str]) -> Callable[..., Attempt]:
    """ended("project_name: harbour", groups=[…]): the attempt of another project that requires the workflow."""

    def run(*settings: str, groups: Any = (), workflow: str = "tides") -> Attempt:
        lines = ["+a:", f"  require>: {workflow}", *(f"  {setting}" for setting in settings), "+b:", "  echo>: b", ""]
        definition = push(write({"boats.dig": "\n".join(lines)})).definitions.get()
        definition.workflow.project.groups.set(groups)
        attempt = starting.start(definition_id=definition.pk, session_time=AT, now=datetime.now(UTC))
        run_to_the_end(attempt)
        return attempt

    return run


def tides() -> list[tuple[datetime, str]]:
    rows = Session.objects.filter(workflow__name="tides")
    return list(rows.values_list("session_time", "attempts__status"))


@pytest.mark.parametrize("by", ["name", "id"])
def test_the_newest_revision_of_another_project_is_required(
    ended: Callable[..., Attempt], harbour: Project, by: str
) -> None:
    said = "project_name: harbour" if by == "name" else f"project_id: {harbour.pk}"

    attempt = ended(said)

    assert (attempt.status, attempt.reason, tides()) == ("success", {}, [(AT, "success")])


@pytest.mark.parametrize(
    ("said", "workflow", "message"),
    [
        ("project_name: nowhere", "tides", "There is no project 'nowhere'."),
        ("project_id: 99999999", "tides", "There is no project '99999999'."),
        ("project_id: 9999999999999999999999", "tides", "There is no project '9999999999999999999999'."),
        ("project_id: one", "tides", "There is no project 'one'."),
        ("project_name: harbour", "waves", "There is no workflow 'waves' in the project harbour; there are tides."),
    ],
)
def test_what_another_project_has_not_fails_the_task(
    ended: Callable[..., Attempt], harbour: Project, said: str, workflow: str, message: str
) -> None:
    assert ended(said, workflow=workflow).reason["message"] == message


def test_a_project_is_named_in_one_way(
    ended: Callable[..., Attempt], harbour: Project, push: Any, write: Callable[..., str]
) -> None:
    with pytest.raises(Exception, match=r"boats.dig:3:3: project_id: A project is named by project_id: or by"):
        ended("project_id: 1", "project_name: harbour")


def test_a_project_that_not_all_see_who_see_this_one_is_not_there(
    ended: Callable[..., Attempt], harbour: Project
) -> None:
    crew = Group.objects.create(name="crew")
    harbour.groups.set([crew, Group.objects.create(name="office")])

    assert ended("project_name: harbour").reason["message"] == "There is no project 'harbour'."
    assert tides() == []

    Project.objects.filter(name="shop").update(name="shop before")
    assert ended("project_name: harbour", groups=[crew]).status == "success"
