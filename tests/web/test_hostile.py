"""Names, parameters, reasons and logs are written by strangers."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client

from projects import archives
from projects.models import Revision, Secret
from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule, TaskRun, TaskState

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{ 7|add:7 }}"


@pytest.fixture
def addresses(make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]) -> list[str]:
    """Every page about a schedule on which everything that can be written is hostile."""
    schedule = make_schedule(name=EVIL, project=EVIL, error=EVIL, failures=1)
    attempt = make_attempt(
        schedule,
        NOW,
        status=AttemptStatus.ERROR,
        name=EVIL,
        reason={"message": EVIL, EVIL: EVIL},
        params={EVIL: EVIL},
        worker=EVIL,
    )
    TaskRun.objects.create(
        attempt=attempt,
        position=1,
        full_name=f"+{EVIL}",
        state=TaskState.ERROR,
        error={"message": EVIL},
        updated_at=NOW,
    )
    LogChunk.objects.create(attempt=attempt, position=1, text=f"{EVIL}\n", written_at=NOW)
    plan = backfill(schedule_id=schedule.pk, attempt_name=EVIL.replace("/", ""), from_time=NOW, dry_run=False, now=NOW)
    assert plan.backfill
    project, revision = schedule.workflow.project_id, schedule.definition.revision_id
    archive = archives.store({"a.html": EVIL.encode(), "<img src=x>.txt": b"x"})
    Revision.objects.filter(pk=revision).update(archive=archive, name=EVIL)
    Secret.objects.create(project_id=project, key=EVIL, sealed="x", updated_at=NOW)
    return [
        "/projects",
        f"/projects?q={EVIL.replace('&', '%26')}",
        f"/projects/{project}",
        f"/projects/{project}?q={EVIL.replace('&', '%26')}",
        f"/projects/{project}/push",
        f"/projects/{project}/delete",
        f"/projects/{project}/secrets",
        f"/projects/{project}/secrets?key={EVIL.replace('&', '%26')}",
        f"/projects/{project}/workflows/{schedule.workflow_id}/start",
        f"/projects/{project}/revisions/{revision}?file=a.html",
        f"/projects/{project}/revisions/{revision}?workflow={schedule.definition_id}",
        f"/attempts/{attempt.pk}/tasks",
        "/",
        "/attempts",
        "/backfills",
        f"/?q={EVIL.replace('&', '%26')}",
        f"/backfills?schedule={schedule.pk}",
        f"/schedules/{schedule.pk}",
        f"/schedules/{schedule.pk}/backfill",
        f"/sessions/{attempt.session_id}",
        f"/attempts/{attempt.pk}",
        f"/attempts/{attempt.pk}/live",
        f"/attempts/{attempt.pk}/log",
        f"/backfills/{plan.backfill.pk}",
        f"/backfills/{plan.backfill.pk}/progress",
    ]


def test_what_strangers_write_is_inert_on_every_page(admin_client: Client, addresses: list[str]) -> None:
    for address in addresses:
        html = admin_client.get(address).content.decode()

        assert "&lt;script&gt;" in html or address.endswith("/progress"), address
        assert "<script>alert" not in html, address
        assert "<img src=x" not in html, address


def test_hostile_input_is_inert_where_it_is_shown_again(page: Client, schedule: Schedule) -> None:
    html = page.post(
        f"/schedules/{schedule.pk}/backfill",
        {"from_time": EVIL, "count": EVIL, "attempt_name": EVIL, "action": "preview"},
    ).content.decode()

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_every_page_forbids_scripts_from_elsewhere_and_inline(admin_client: Client, addresses: list[str]) -> None:
    for address in addresses:
        policy = admin_client.get(address)["Content-Security-Policy"]

        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
