"""Projects in a real browser: push by hand, read, start, keep secrets, delete."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from projects import archives, secrets
from projects.models import Project, Revision
from projects.revisions import publish
from scheduler.models import Attempt, AttemptStatus, Schedule, TaskRun

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONG = "n" * 200
RIGHT_TO_LEFT = "تقرير المبيعات اليومي"
RIGHTS = (
    "projects.add_revision",
    "projects.delete_project",
    "projects.change_secret",
    "scheduler.run_attempt",
    "scheduler.backfill_schedule",
)
DIG = b"timezone: UTC\n+hello:\n  echo>: hello\n"


@pytest.fixture
def master(make_user: Callable[..., User]) -> User:
    """Who may do everything with projects."""
    return make_user("maria", *RIGHTS)


def tar(files: Mapping[str, bytes]) -> dict[str, Any]:
    """A file as a person would choose it."""
    with archives.pack(files) as upload:
        upload.content.seek(0)
        return {"name": "shop.tar.gz", "mimeType": "application/gzip", "buffer": upload.content.read()}


def test_a_person_pushes_mends_a_mistake_and_starts_the_workflow(visit: Callable[..., Any], master: User) -> None:
    visitor = visit(master)
    tab = visitor.open("/projects")
    tab.click("main >> text=Push a project >> nth=0")
    expect(tab.locator("#id_project")).to_be_focused()
    tab.fill("#id_project", "shop")
    tab.set_input_files("#id_archive", tar({"orders.dig": DIG.replace(b"echo", b"ech")}))
    tab.click("main button.primary")
    expect(tab.locator(".mistakes tbody tr")).to_have_count(1)
    expect(tab.locator("#mistakes")).to_be_focused()
    expect(tab.locator(".mistakes")).to_contain_text("orders.dig")
    expect(tab.locator("#id_project")).to_have_value("shop")

    tab.set_input_files("#id_archive", tar({"orders.dig": DIG}))
    tab.click("main button.primary")
    expect(tab.locator("h1")).to_have_text("shop")
    expect(tab.locator(".messages")).to_contain_text("Pushed the revision")

    tab.click("a[aria-label='Start orders']")
    expect(tab.locator("#id_session_time")).to_be_focused()
    tab.fill("#id_params", '{"region": "eu"}')
    tab.click("main button.primary")
    expect(tab.locator("h1")).to_contain_text("of orders")
    assert Attempt.objects.get().params == {"region": "eu"}
    assert visitor.complaints == []


def test_a_file_that_is_too_large_is_told_before_it_is_sent(
    visit: Callable[..., Any], master: User, settings: Any
) -> None:
    settings.HINDCAST_MAX_UPLOAD_BYTES = 1_000
    tab = visit(master).open("/projects/push")

    tab.set_input_files("#id_archive", {"name": "a.tar.gz", "mimeType": "application/gzip", "buffer": b"x" * 2_000})

    told = tab.locator("#id_archive").evaluate("field => field.validationMessage")
    assert told.startswith("This file is larger than")


def test_a_secret_is_set_by_the_keyboard_alone_and_deleted(visit: Callable[..., Any], master: User) -> None:
    project = Project.objects.create(name="shop", created_at=NOW)
    visitor = visit(master)
    tab = visitor.open(f"/projects/{project.pk}/secrets")
    tab.locator("#id_key").focus()
    tab.keyboard.type("db.password")
    tab.keyboard.press("Tab")
    tab.keyboard.type("hunter2")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")

    expect(tab.locator(".secrets tbody tr")).to_have_count(1)
    assert "hunter2" not in tab.content()
    assert str(secrets.reveal(project_id=project.pk, key="db.password")) == "hunter2"
    tab.click("a[aria-label='Delete db.password']")
    tab.click("text=Delete the secret >> nth=-1")
    expect(tab.locator(".empty")).to_be_visible()
    assert visitor.complaints == []


def test_deleting_a_project_asks_and_leads_back_to_the_list(visit: Callable[..., Any], master: User) -> None:
    project = publish(project_name="shop", revision_name="v1", documents={"w": {"+a": {"echo>": "x"}}}, now=NOW).project
    tab = visit(master).open(f"/projects/{project.pk}")

    tab.click("text=Delete…")
    expect(tab.locator("main")).to_contain_text("does not come back")
    tab.click("main button.primary")

    expect(tab.locator(".messages")).to_contain_text("is deleted")
    assert not Project.objects.live().exists()


@pytest.fixture
def addresses(make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]) -> list[str]:
    """Every page of projects, with long and right-to-left names, and an attempt of many tasks."""
    files = {f"{LONG}.txt": b"x" * 500, f"{LONG}.dig": DIG, RIGHT_TO_LEFT: RIGHT_TO_LEFT.encode()}
    found = ["/projects", "/projects?q=nothing", "/projects/push"]
    for name in (LONG, RIGHT_TO_LEFT):
        schedule = make_schedule(name=name, project=name, timezone="America/Argentina/ComodRivadavia")
        revision = schedule.definition.revision
        Revision.objects.filter(pk=revision.pk).update(name=LONG, archive=archives.store(files))
        here = f"/projects/{schedule.workflow.project_id}"
        secrets.put(project_id=schedule.workflow.project_id, key="k" * 200, value="x", now=NOW)
        attempt = make_attempt(schedule, NOW, status=AttemptStatus.ERROR)
        TaskRun.objects.bulk_create(
            TaskRun(
                attempt=attempt, position=number, full_name=f"+w+{LONG}{number}", updated_at=NOW, state=state,
                error={"message": LONG}, config={f"{LONG}>": 1}, state_params={"retries": 3},
            )
            for number, state in enumerate(["planned", *["error"] * 8, *["success"] * 300])
        )  # fmt: skip
        found += [here, f"{here}?q=nothing", f"{here}/push", f"{here}/delete", f"{here}/secrets"]
        found += [f"{here}/secrets/{'k' * 200}/delete", f"{here}/workflows/{schedule.workflow_id}/start"]
        found += [f"{here}/revisions/{revision.pk}{query}" for query in ("", f"?file={LONG}.txt")]
        found += [f"{here}/revisions/{revision.pk}?workflow={schedule.definition_id}"]
        found += [f"/attempts/{attempt.pk}", f"/attempts/{attempt.pk}/tasks"]
    return found


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_no_page_is_wider_than_the_screen_or_makes_the_browser_complain(
    visit: Callable[..., Any], master: User, addresses: list[str], width: int
) -> None:
    visitor = visit(master, width=width)

    wide = {}
    for address in addresses:
        visitor.open(address)
        wide[address] = visitor.overflow()

    assert {address: pixels for address, pixels in wide.items() if pixels > 0} == {}
    assert visitor.complaints == []
