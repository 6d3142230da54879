"""`manage.py push`."""

from pathlib import Path

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
