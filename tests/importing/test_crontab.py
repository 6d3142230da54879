"""A crontab becomes a project; importing it again changes what changed, and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projects import archives
from projects.dig import FilesRefused
from projects.models import Project, Revision
from scheduler.errors import InvalidInput
from scheduler.importing.crontab import CrontabTaken, LinesRefused
from scheduler.importing.takeover import Change, ProjectMoved, existing
from scheduler.models import Schedule
from scheduler.pushing import push

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TWO = "0 3 * * * /bin/backup\n*/5 * * * * /bin/poll\n"

Import = Callable[..., CrontabTaken]


def changes(taken: CrontabTaken) -> dict[str, Change]:
    return {step.name: step.change for step in taken.comparison.steps}


def push_files(files: dict[str, bytes], *, executable: set[str] = frozenset()) -> Revision:  # type: ignore[assignment]
    with archives.pack(files, executable=executable) as upload:
        return push(project_name="jobs", revision_name=f"r{Revision.objects.count()}", upload=upload, now=NOW)


def test_each_line_is_a_scheduled_workflow(import_crontab: Import) -> None:
    taken = import_crontab(TWO, timezone="Asia/Tokyo")

    assert changes(taken) == {"backup": Change.ADDED, "poll": Change.ADDED}
    rows = Schedule.objects.order_by("workflow__name").values_list("workflow__name", "kind", "expression", "timezone")
    assert list(rows) == [
        ("backup", "cron", "0 3 * * *", "Asia/Tokyo"),
        ("poll", "cron", "*/5 * * * *", "Asia/Tokyo"),
    ]
    assert Schedule.objects.get(workflow__name="backup").next_run_time == datetime(2026, 3, 2, 18, tzinfo=UTC)
    assert set(Schedule.objects.values_list("catch_up", flat=True)) == {"none"}


def test_the_same_again_changes_nothing(import_crontab: Import) -> None:
    first = import_crontab(TWO)

    again = import_crontab(TWO, now=NOW + timedelta(days=1))

    assert first.revision
    assert again.revision is None
    assert changes(again) == {"backup": Change.SAME, "poll": Change.SAME}
    assert Revision.objects.count() == 1


def test_what_changed_is_changed_and_what_went_is_removed(import_crontab: Import) -> None:
    import_crontab(TWO)
    kept = Schedule.objects.get(workflow__name="backup").pk

    taken = import_crontab("0 4 * * * /bin/backup\n0 0 * * * /bin/report\n")

    assert changes(taken) == {"backup": Change.CHANGED, "report": Change.ADDED, "poll": Change.REMOVED}
    assert Schedule.objects.get(workflow__name="backup").pk == kept
    assert set(Schedule.objects.values_list("workflow__name", "expression")) == {
        ("backup", "0 4 * * *"),
        ("report", "0 0 * * *"),
    }


def test_a_dry_run_says_the_same_and_writes_nothing(import_crontab: Import) -> None:
    planned = import_crontab(TWO, dry_run=True)

    assert not Project.objects.exists()
    done = import_crontab(TWO)
    assert planned.comparison == done.comparison


def test_one_bad_line_stops_all_of_them(import_crontab: Import) -> None:
    with pytest.raises(LinesRefused) as refused:
        import_crontab(f"{TWO}@reboot /bin/x\n61 * * * * /bin/y\n")

    assert [line.number for line in refused.value.lines] == [3, 4]
    assert "line 3: @reboot has no time" in refused.value.message
    assert not Project.objects.exists()


def test_bad_lines_are_left_out_when_asked_for(import_crontab: Import) -> None:
    taken = import_crontab(f"@reboot /bin/x\n{TWO}", skip_bad=True)

    assert [line.number for line in taken.left_out] == [1]
    assert list(changes(taken)) == ["backup", "poll"]


def test_what_others_put_into_the_project_stays(import_crontab: Import) -> None:
    mine = {"backup.dig": b"+mine:\n  sh>: bin/load\n", "bin/load": b"#!/bin/sh\n", "data.csv": b"\x00\xff\n"}
    push_files(mine, executable={"bin/load"})

    taken = import_crontab(TWO)

    assert changes(taken) == {"backup_2": Change.ADDED, "poll": Change.ADDED}
    there = existing("jobs")
    assert {path: there.files[path] for path in mine} == mine
    assert there.executable == {"bin/load"}
    assert import_crontab(TWO).revision is None


def test_another_crontab_beside_it_takes_nothing_away(import_crontab: Import) -> None:
    import_crontab(TWO)

    taken = import_crontab("0 5 * * * /bin/backup\n", source="other.txt")

    assert changes(taken) == {"backup_2": Change.ADDED}
    assert Schedule.objects.count() == 3


def test_a_script_goes_with_its_line(import_crontab: Import) -> None:
    import_crontab("0 3 * * * echo ${X:-a}")
    assert "scripts/echo.sh" in existing("jobs").files

    import_crontab("0 3 * * * /bin/true")

    assert set(existing("jobs").files) == {"true.dig"}


def test_a_mistake_that_somebody_else_left_there_is_told_and_nothing_written(import_crontab: Import) -> None:
    revision = push_files({"other.dig": b"+a:\n  sh>: x\n"})
    broken = archives.store({"other.dig": b"+a:\n  eco>: x\n"})
    Revision.objects.filter(pk=revision.pk).update(archive=broken)

    with pytest.raises(FilesRefused, match="no operator eco>"):
        import_crontab(TWO)

    assert Revision.objects.count() == 1


@pytest.mark.parametrize("name", ["", "1st", "a/b", "x" * 256, " x"])
def test_a_bad_name_for_the_project_is_refused(import_crontab: Import, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        import_crontab(TWO, project_name=name, dry_run=True)

    assert "project" in refused.value.errors


def test_a_project_whose_workflows_have_no_files_is_not_written_over(
    import_crontab: Import, make_definition: Callable[..., Any]
) -> None:
    make_definition(project="jobs")

    with pytest.raises(InvalidInput, match="workflows without files"):
        import_crontab(TWO)


def test_a_push_in_between_is_not_written_over(import_crontab: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    import_crontab(TWO)
    keep = archives.keep

    def keep_and_be_overtaken(upload: Any) -> Any:
        monkeypatch.setattr(archives, "keep", keep)
        push_files({"late.dig": b"+a:\n  sh>: x\n"})
        return keep(upload)

    monkeypatch.setattr(archives, "keep", keep_and_be_overtaken)

    with pytest.raises(ProjectMoved):
        import_crontab("0 4 * * * /bin/backup")

    assert set(existing("jobs").files) == {"late.dig"}


def test_an_empty_crontab_makes_no_project(import_crontab: Import) -> None:
    taken = import_crontab("# nothing\n")

    assert taken.revision is None
    assert not Project.objects.exists()


def test_a_crontab_that_became_empty_takes_its_workflows_away(import_crontab: Import) -> None:
    import_crontab(TWO)

    taken = import_crontab("")

    assert changes(taken) == {"backup": Change.REMOVED, "poll": Change.REMOVED}
    assert not Schedule.objects.exists()
