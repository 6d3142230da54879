"""`manage.py import_crontab`."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from projects.models import Project
from scheduler.management.commands import import_crontab
from scheduler.models import Schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def crontab(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.txt"
    path.write_text("# Nightly backup\n0 3 * * 1-5 /bin/backup\n*/5 * * * * ~/bin/poll\n")
    return path


def test_a_crontab_becomes_a_project_of_its_name(crontab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_crontab", str(crontab), timezone="Asia/Tokyo")

    said = capsys.readouterr().out
    assert "+ nightly_backup (added)\n    At 03:00, Monday through Friday (0 3 * * 1-5), Asia/Tokyo\n" in said
    assert said.count("    runs at 20") == 2
    assert said.count(" +09:00") == 6  # three of each
    assert "    note: It uses its home directory" in said
    assert said.endswith("jobs: 2 added.\n")
    assert Project.objects.get().name == "jobs"
    assert Schedule.objects.count() == 2


def test_a_dry_run_shows_the_difference_and_writes_nothing(crontab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_crontab", str(crontab), timezone="UTC", verbosity=0)
    crontab.write_text("# Nightly backup\n0 4 * * 1-5 /bin/backup\n@daily /bin/x\n")
    capsys.readouterr()

    call_command("import_crontab", str(crontab), timezone="UTC", dry_run=True)

    said = capsys.readouterr().out
    assert "~ nightly_backup (changed)" in said
    assert "    | -  cron>: 0 3 * * 1-5\n" in said
    assert "    | +  cron>: 0 4 * * 1-5\n" in said
    assert "+ x (added)" in said
    assert "- poll (removed)" in said
    assert said.endswith("jobs: 1 added, 1 changed, 1 removed. Nothing was written: this is a dry run.\n")
    assert set(Schedule.objects.values_list("expression", flat=True)) == {"0 3 * * 1-5", "*/5 * * * *"}


def test_the_same_again_says_that_nothing_changes(crontab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        call_command("import_crontab", str(crontab), timezone="UTC")

    assert capsys.readouterr().out.endswith("jobs: 2 unchanged. Nothing changes.\n")


def test_bad_lines_are_told_with_their_numbers(crontab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crontab.write_text("@reboot /bin/x\n0 3 * * * /bin/y\n")

    with pytest.raises(CommandError, match=r"line 1: @reboot has no time(.|\n)*--skip-bad"):
        call_command("import_crontab", str(crontab), timezone="UTC")
    assert not Project.objects.exists()

    call_command("import_crontab", str(crontab), timezone="UTC", skip_bad=True)
    assert "left out: line 1: @reboot" in capsys.readouterr().out
    assert Schedule.objects.count() == 1


def test_it_reads_what_is_piped_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"0 3 * * * /bin/y\n")))

    call_command("import_crontab", "-", timezone="UTC", stdout=io.StringIO())

    assert Project.objects.get().name == "crontab"


def test_a_system_crontab_names_users(crontab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crontab.write_text("0 3 * * * root /bin/y\n")

    with pytest.raises(CommandError, match="--system"):
        call_command("import_crontab", str(crontab), timezone="UTC")
    call_command("import_crontab", str(crontab), timezone="UTC", system=True)

    assert "It ran as root" in capsys.readouterr().out


def test_the_zone_is_that_of_the_machine_and_said(
    crontab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    monkeypatch.setattr(import_crontab, "LOCALTIME", link)

    call_command("import_crontab", str(crontab), project="mine")

    assert "Times are in Europe/Berlin, the time zone of this machine" in capsys.readouterr().out
    assert set(Schedule.objects.values_list("timezone", flat=True)) == {"Europe/Berlin"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"timezone": "Mars/Base"}, "--timezone: Unknown time zone"),
        ({"timezone": "UTC", "project": "1st"}, "--project: Give a name"),
    ],
)
def test_options_that_are_wrong_are_named(crontab: Path, options: dict[str, str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        call_command("import_crontab", str(crontab), **options)

    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"ok\n\xff", "not UTF-8, first in line 2"), (b"#" * (1024 * 1024 + 1), "longer than"), (None, "cannot be read")],
)
def test_a_file_that_is_no_crontab_is_refused(crontab: Path, content: bytes | None, reason: str) -> None:
    if content is None:
        crontab.unlink()
    else:
        crontab.write_bytes(content)

    with pytest.raises(CommandError, match=reason):
        call_command("import_crontab", str(crontab), timezone="UTC")
