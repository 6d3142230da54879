"""`manage.py push`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from projects.models import Project, Revision
from scheduler.models import Schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "bin").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    (folder / "daily.dig").write_text("timezone: Asia/Tokyo\nschedule:\n  daily>: 07:00:00\n+a:\n  sh>: bin/load\n")
    (folder / "bin" / "load").write_text("#!/bin/sh\n")
    (folder / "bin" / "load").chmod(0o755)
    return folder


def test_a_folder_becomes_a_project_of_its_name(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("push", str(shop), revision="r1")

    said = capsys.readouterr().out
    schedule = Schedule.objects.get()
    assert "shop: revision r1, 1 workflow." in said
    assert f"daily: schedule {schedule.pk}, next session" in said
    assert Revision.objects.get().archive


def test_mistakes_are_told_with_their_lines(shop: Path) -> None:
    (shop / "daily.dig").write_text("+a:\n  eco>: x\n")

    with pytest.raises(CommandError, match=r"daily\.dig:2:3: There is no operator"):
        call_command("push", str(shop))

    assert not Project.objects.exists()


def test_a_link_is_refused_by_name(shop: Path) -> None:
    (shop / "link").symlink_to("/etc/passwd")

    with pytest.raises(CommandError, match="link"):
        call_command("push", str(shop))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no folder"):
        call_command("push", str(tmp_path / "nowhere"))


def test_the_name_of_the_project_can_be_given(shop: Path) -> None:
    call_command("push", str(shop), project="store")

    assert Project.objects.get().name == "store"


def test_a_name_that_is_refused_names_its_option(shop: Path) -> None:
    with pytest.raises(CommandError, match="--project: Give a name that begins with a letter") as refused:
        call_command("push", str(shop), project="1st")

    assert refused.value.returncode == 1
    assert not Project.objects.exists()


def test_a_new_schedule_runs_from_the_time_that_is_given(shop: Path) -> None:
    call_command("push", str(shop), schedule_from="2027-01-10 00:00")

    assert Schedule.objects.get().next_run_time == datetime(2027, 1, 10, 22, tzinfo=UTC)


def test_a_cleared_schedule_starts_anew_and_others_go_on(shop: Path) -> None:
    (shop / "other.dig").write_text((shop / "daily.dig").read_text())
    call_command("push", str(shop))
    Schedule.objects.update(last_session_time=datetime(2027, 1, 9, 15, tzinfo=UTC))

    call_command("push", str(shop), schedule_from="2027-02-10T00:00:00Z", clear_schedule=["daily"])

    times = Schedule.objects.order_by("workflow__name").values_list("next_run_time", flat=True)
    assert list(times) == [datetime(2027, 2, 10, 22, tzinfo=UTC), datetime(2027, 1, 10, 22, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"schedule_from": "soon"}, "--schedule-from: Write a time"),
        ({"schedule_from": ""}, "--schedule-from: Write a time"),
        ({"clear_schedule": ["weekly"]}, "--clear-schedule: "),
    ],
)
def test_a_wrong_option_is_named(shop: Path, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("push", str(shop), **asked)

    assert not Project.objects.exists()
