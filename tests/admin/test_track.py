"""The action "Track with Hindcast…" on periodic tasks: shown first, done on a yes, told afterwards."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from projects import archives
from projects.models import Project
from scheduler.importing.takeover import existing
from scheduler.models import Schedule
from scheduler.pushing import push

LIST = reverse("admin:django_celery_beat_periodictask_changelist")
MAY_TRACK = (
    "django_celery_beat.view_periodictask",
    "django_celery_beat.change_periodictask",
    "projects.add_revision",
)


@pytest.fixture
def client(make_staff: Callable[..., User], enter: Callable[[User], Client]) -> Client:
    return enter(make_staff("sam", *MAY_TRACK))


@pytest.fixture
def make_periodic(db: None) -> Callable[..., PeriodicTask]:
    def make(name: str = "Nightly totals", **fields: Any) -> PeriodicTask:
        crontab = CrontabSchedule.objects.create(minute="0", hour="3", timezone="Asia/Tokyo")
        return PeriodicTask.objects.create(
            **{"name": name, "task": "tests.shop.tasks.total", "args": "[1, 2]", "crontab": crontab, **fields}
        )

    return make


def post(client: Client, *tasks: PeriodicTask, **fields: str) -> Any:
    data = {"action": "track", "_selected_action": [task.pk for task in tasks], **fields}
    return client.post(LIST, data, follow=True)


def hidden(page: Any) -> dict[str, str]:
    """What the page sends along with its answer."""
    found = re.findall(r'<input type="hidden" name="(shown|fingerprint)" value="([^"]*)">', page.content.decode())
    return {name: html.unescape(value) for name, value in found}


def agree(client: Client, *tasks: PeriodicTask, **fields: str) -> Any:
    """Look, and say yes to what was shown."""
    project = fields.get("project", "periodic_tasks")
    seen = post(client, *tasks, confirmed="preview", project=project)
    return post(client, *tasks, **{"confirmed": "yes", "project": project, **hidden(seen), **fields})


def words(page: Any) -> str:
    """The text of the page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.content.decode())).split())


def test_the_page_shows_what_would_be_and_writes_nothing(client: Client, make_periodic: Callable[..., Any]) -> None:
    page = post(client, make_periodic())

    said = words(page)
    assert "Workflow Nightly_totals : a new workflow" in said
    assert "At 03:00 (0 3 * * *), Asia/Tokyo" in said
    assert said.count("03:00 +09:00") == 3
    assert said.count(" 18:00 ") == 3
    assert "It runs in a worker of Hindcast itself, as it names no queue." in said
    assert "celery>: tests.shop.tasks.total" in said
    assert "Track 1 periodic task" in said
    assert 'name="switch_off"' in page.content.decode()
    assert "checked" not in page.content.decode()
    assert not Project.objects.exists()


def test_a_yes_makes_the_workflow_and_leads_to_its_schedule_and_its_backfill(
    client: Client, make_periodic: Callable[..., Any]
) -> None:
    task = make_periodic()

    page = agree(client, task)

    schedule = Schedule.objects.get()
    assert (schedule.workflow.name, schedule.workflow.project.name) == ("Nightly_totals", "periodic_tasks")
    assert f'<a href="{reverse("schedule", args=[schedule.pk])}">Nightly_totals</a>' in page.content.decode()
    assert f'<a href="{reverse("backfill_form", args=[schedule.pk])}">backfill</a>' in page.content.decode()
    assert "Runs twice, by beat and by its schedule, until one of the two is switched off: Nightly totals." in words(
        page
    )
    assert schedule.definition.revision.created_by == User.objects.get(username="sam")
    task.refresh_from_db()
    assert task.enabled


def test_the_original_is_switched_off_when_the_box_is_ticked(client: Client, make_periodic: Callable[..., Any]) -> None:
    task = make_periodic()

    page = agree(client, task, switch_off="on")

    assert "Was switched off in beat: Nightly totals." in words(page)
    task.refresh_from_db()
    assert not task.enabled


def test_an_original_that_is_off_is_shown_so(client: Client, make_periodic: Callable[..., Any]) -> None:
    task = make_periodic(enabled=False)

    assert "off, and so the schedule is made switched off" in words(post(client, task))
    agree(client, task)

    assert Schedule.objects.get().disabled_at


def test_what_cannot_be_tracked_is_told_and_left_out(client: Client, make_periodic: Callable[..., Any]) -> None:
    good, bad = make_periodic("good"), make_periodic("bad", kwargs="{")

    page = post(client, good, bad)
    assert "Cannot be tracked bad : Its kwargs are no JSON" in words(page)
    assert "Track 1 periodic task" in words(page)

    done = agree(client, good, bad)
    assert "Not tracked: bad: Its kwargs are no JSON" in words(done)
    assert Schedule.objects.get().workflow.name == "good"


def test_where_nothing_can_be_tracked_there_is_no_button(client: Client, make_periodic: Callable[..., Any]) -> None:
    page = post(client, make_periodic(one_off=True))

    assert "It runs once" in words(page)
    assert 'value="yes"' not in page.content.decode()


def test_another_project_is_shown_before_it_is_written(client: Client, make_periodic: Callable[..., Any]) -> None:
    task = make_periodic()
    seen = hidden(post(client, task))

    page = post(client, task, confirmed="yes", project="mine", **seen)

    assert "The project is not the one that was shown. Nothing was written; look again." in words(page)
    assert not Project.objects.exists()
    post(client, task, confirmed="yes", project="mine", **hidden(page))
    assert Project.objects.get().name == "mine"


def test_a_task_that_changed_since_it_was_shown_is_shown_again(
    client: Client, make_periodic: Callable[..., Any]
) -> None:
    task = make_periodic()
    seen = hidden(post(client, task))
    task.args = "[9]"
    task.save()

    page = post(client, task, confirmed="yes", project="periodic_tasks", **seen)

    assert "something changed meanwhile" in words(page)
    assert not Project.objects.exists()
    post(client, task, confirmed="yes", project="periodic_tasks", **hidden(page))
    assert Schedule.objects.count() == 1


def test_a_second_yes_changes_nothing(client: Client, make_periodic: Callable[..., Any]) -> None:
    task = make_periodic()
    agree(client, task)

    page = post(client, task)
    assert "the workflow is there, and stays as it is" in words(page)
    agree(client, task)

    assert Project.objects.get().revisions.count() == 1


def test_a_change_of_a_tracked_task_is_shown_as_a_difference(client: Client, make_periodic: Callable[..., Any]) -> None:
    task = make_periodic()
    agree(client, task)
    task.args = "[1, 7]"
    task.save()

    said = words(post(client, task))

    assert "the workflow is there, and changes" in said
    assert "- - 2 + - 7" in said


def test_what_would_be_removed_is_shown(client: Client, make_periodic: Callable[..., Any], now: Any) -> None:
    task = make_periodic()
    agree(client, task)
    with archives.pack({"mine.dig": existing("periodic_tasks").files["Nightly_totals.dig"]}) as upload:
        push(project_name="periodic_tasks", revision_name="by hand", upload=upload, now=now)

    assert "Removed Earlier workflows of these tasks, under other names: mine" in words(post(client, task))


@pytest.mark.parametrize("name", ["", "1st", "a/b"])
def test_a_bad_name_is_refused_beside_its_field(client: Client, make_periodic: Callable[..., Any], name: str) -> None:
    page = post(client, make_periodic(), confirmed="yes", project=name, shown=name)

    assert "Correct the error below." in words(page)
    assert "Give" in words(page)
    assert not Project.objects.exists()


def test_a_project_that_the_user_may_not_see_is_not_written_to(
    client: Client, make_periodic: Callable[..., Any], now: Any
) -> None:
    project = Project.objects.create(name="periodic_tasks", created_at=now)
    project.groups.add(Group.objects.create(name="others"))

    page = agree(client, make_periodic())

    assert "There is a project of this name that you may not see." in words(page)
    assert not project.revisions.exists()


@pytest.mark.parametrize("missing", MAY_TRACK[1:])
def test_without_both_permissions_the_action_is_not_offered_and_does_nothing(
    make_staff: Callable[..., User],
    enter: Callable[[User], Client],
    make_periodic: Callable[..., Any],
    missing: str,
) -> None:
    client = enter(make_staff("sam", *(permission for permission in MAY_TRACK if permission != missing)))
    task = make_periodic()

    assert "Track with Hindcast" not in client.get(LIST).content.decode()
    post(client, task, confirmed="yes", project="periodic_tasks", shown="periodic_tasks")

    assert not Project.objects.exists()


def test_names_are_shown_as_text(client: Client, make_periodic: Callable[..., Any]) -> None:
    task = make_periodic("<script>alert(1)</script>", description="<b>\x1b[31m")

    shown, done = post(client, task), agree(client, task)

    for page in (shown, done):
        assert "<script>alert" not in page.content.decode()
    assert "<b>" not in shown.content.decode().partition("hindcast-document")[2]


def test_more_than_one_go_takes_are_refused(client: Client, make_periodic: Callable[..., Any]) -> None:
    tasks = [make_periodic(f"t{number}") for number in range(51)]

    assert "Select at most 50 periodic tasks." in words(post(client, *tasks))


def test_the_list_shows_what_is_called(client: Client, make_periodic: Callable[..., Any]) -> None:
    make_periodic()

    page = client.get(LIST).content.decode()

    assert "tests.shop.tasks.total" in page
    assert "Track with Hindcast…" in page


def test_the_page_of_one_offers_it_too(client: Client, make_periodic: Callable[..., Any]) -> None:
    page = client.get(reverse("admin:django_celery_beat_periodictask_change", args=[make_periodic().pk]))

    assert '<input type="hidden" name="action" value="track">' in page.content.decode()
    assert "At 03:00 AM Asia/Tokyo" in words(page)  # the crontab in words, without a script
