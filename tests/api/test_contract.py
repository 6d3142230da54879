"""The served schema, tried out: whatever is sent, the answer is one that the document describes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Permission, User
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from projects import apikeys
from scheduler.api.docs import document
from scheduler.models import Attempt, Backfill, Schedule, TaskRun

pytestmark = pytest.mark.contract

EXAMPLES = 25
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.ignored_auth,
]


@schemathesis.serializer("application/gzip")
def as_it_is(_: Any, value: Any) -> bytes:
    """A body that is no archive, most of the time."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(autouse=True)
def clock() -> None:
    """The real one: the generator measures its own time."""


@pytest.fixture
def known(schedule: Schedule, make_attempt: Callable[..., Attempt], now: datetime) -> dict[str, int]:
    """An id that is there, by the first part of the path."""
    backfill = Backfill.objects.create(
        workflow=schedule.workflow, schedule=schedule, name="again", from_time=now, sessions=1, created_at=now
    )
    attempt = make_attempt(schedule, now, backfill=backfill)
    TaskRun.objects.create(attempt=attempt, position=0, full_name="+w", updated_at=now)
    return {
        "schedules": schedule.pk,
        "sessions": attempt.session_id,
        "attempts": attempt.pk,
        "backfills": backfill.pk,
        "logs": attempt.pk,
        "projects": schedule.workflow.project_id,
        "workflows": schedule.definition_id,
    }


@pytest.fixture
def key(operator: User) -> str:
    codenames = ["add_revision", "delete_project", "change_secret", "run_attempt"]
    operator.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return apikeys.issue(user=operator, name="contract", now=datetime.now(UTC))[1]


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_document_describes(
    case: Any, live_server: Any, known: dict[str, int], key: str
) -> None:
    headers = {"Authorization": f"TD1 {key}"}

    response = case.call(base_url=live_server.url, headers=headers)

    case.validate_response(response, checks=CHECKS, headers=headers)


@schema.include(path_regex="{id}").parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_about_what_is_there_is_one_that_the_document_describes(
    case: Any, live_server: Any, known: dict[str, int], key: str
) -> None:
    case.path_parameters |= {"id": known[case.path.split("/")[2]]}

    response = case.call(base_url=live_server.url, headers={"Authorization": f"TD1 {key}"})

    case.validate_response(response, checks=CHECKS[:5])
