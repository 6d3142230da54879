"""Starting a workflow by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from projects.models import Project, WorkflowDefinition
from scheduler.models import Attempt, Lane

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _at_noon() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def runner(make_user: Callable[..., User]) -> Client:
    client = Client()
    client.force_login(make_user("rita", "scheduler.run_attempt"))
    return client


@pytest.fixture
def definition(make_definition: Callable[..., WorkflowDefinition]) -> WorkflowDefinition:
    return make_definition("by_hand", timezone="Asia/Tokyo")


def address(definition: WorkflowDefinition) -> str:
    return f"/projects/{definition.workflow.project_id}/workflows/{definition.workflow_id}/start"


def send(client: Client, definition: WorkflowDefinition, **fields: str) -> Any:
    return client.post(address(definition), {"session_time": "2026-03-01 09:00", **fields})


def test_the_form_offers_now_by_the_clocks_of_the_workflow(runner: Client, definition: WorkflowDefinition) -> None:
    html = runner.get(address(definition)).content.decode()

    assert 'value="2026-03-02 21:00 +09:00"' in html
    assert "Local time in Asia/Tokyo" in html


def test_what_is_offered_can_be_sent(runner: Client, definition: WorkflowDefinition) -> None:
    offered = runner.get(address(definition)).context["form"]["session_time"].value()

    answer = send(runner, definition, session_time=offered)

    attempt = Attempt.objects.get()
    assert answer["Location"] == f"/attempts/{attempt.pk}"
    assert (attempt.session.session_time, attempt.lane, attempt.name) == (NOW, Lane.MANUAL, "")


def test_parameters_are_taken_as_json(runner: Client, definition: WorkflowDefinition) -> None:
    send(runner, definition, params='{"region": "eu", "days": [1, 2]}')

    assert Attempt.objects.get().params == {"region": "eu", "days": [1, 2]}


def test_the_newest_revision_is_started(
    runner: Client, definition: WorkflowDefinition, make_definition: Callable[..., WorkflowDefinition]
) -> None:
    newer = make_definition("by_hand", timezone="Asia/Tokyo")

    send(runner, definition)

    assert Attempt.objects.get().definition == newer


@pytest.mark.parametrize(
    ("field", "value"),
    [("session_time", ""), ("session_time", "tomorrow"), ("session_time", "0001-01-01 00:00"),
     ("params", "[1]"), ("params", "{"), ("params", '{"a": NaN}'), ("params", '{"a": 1, "a": 2}'),
     ("params", "[" * 100_000), ("params", '{"a": 1e999}'), ("params", '{"a": "\\u0000"}'), ("params", '"x"'),
     ("params", '{"a": %s}' % ("9" * 5000)), ("name", "a\x07b"), ("name", "x" * 300)],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field_and_starts_nothing(
    runner: Client, definition: WorkflowDefinition, field: str, value: str
) -> None:
    answer = send(runner, definition, **{field: value})

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert not Attempt.objects.exists()


def test_a_session_that_ran_needs_a_name_and_says_which_attempt_is_there(
    runner: Client, definition: WorkflowDefinition
) -> None:
    send(runner, definition)
    first = Attempt.objects.get()
    Attempt.objects.update(status="success", finished_at=NOW)

    html = send(runner, definition).content.decode()
    send(runner, definition, name="again")

    assert f'<a href="/attempts/{first.pk}">' in html
    assert "already has a first attempt" in html
    assert list(Attempt.objects.order_by("pk").values_list("name", flat=True)) == ["", "again"]


def test_a_workflow_that_the_newest_revision_lacks_is_not_found(
    runner: Client, definition: WorkflowDefinition, make_definition: Callable[..., WorkflowDefinition]
) -> None:
    make_definition("other")

    assert runner.get(address(definition)).status_code == 404
    assert send(runner, definition).status_code == 404


def test_a_workflow_of_another_project_is_not_found(runner: Client, definition: WorkflowDefinition) -> None:
    other = Project.objects.create(name="other", created_at=NOW)

    assert runner.get(f"/projects/{other.pk}/workflows/{definition.workflow_id}/start").status_code == 404


def test_starting_takes_the_permission(onlooker: Client, definition: WorkflowDefinition) -> None:
    assert onlooker.get(address(definition)).status_code == 403
    assert send(onlooker, definition).status_code == 403
    assert not Attempt.objects.exists()
