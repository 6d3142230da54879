"""`manage.py import_beat`."""

from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from projects.models import Project
from scheduler.models import Schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_periodic() -> Callable[..., PeriodicTask]:
    def make(name: str, **fields: object) -> PeriodicTask:
        crontab = CrontabSchedule.objects.create(minute="0", hour="3", timezone="Asia/Tokyo")
        return PeriodicTask.objects.create(
            **{"name": name, "task": "tests.shop.tasks.total", "crontab": crontab, **fields}
        )

    return make


@pytest.fixture
def two(make_periodic: Callable[..., PeriodicTask]) -> list[PeriodicTask]:
    interval = IntervalSchedule.objects.create(every=10, period="minutes")
    return [make_periodic("Nightly"), make_periodic("Poll", crontab=None, interval=interval)]


def test_all_of_them_are_tracked_and_go_on(two: list[PeriodicTask], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_beat")

    said = capsys.readouterr().out
    assert "+ Nightly (added)\n    At 03:00 (0 3 * * *), Asia/Tokyo\n    runs at " in said
    assert "+ Poll (added)\n    every 10 minutes\n" in said
    assert "periodic_tasks: 2 added." in said
    assert "Runs twice, by beat and by its schedule, until one of the two is switched off: Nightly, Poll." in said
    assert Schedule.objects.filter(workflow__project__name="periodic_tasks", disabled_at=None).count() == 2


def test_the_named_one_is_tracked_and_switched_off(two: list[PeriodicTask], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_beat", "Nightly", project="mine", disable_original=True)

    assert "Was switched off in beat: Nightly." in capsys.readouterr().out
    assert Schedule.objects.get().workflow.name == "Nightly"
    assert list(PeriodicTask.objects.order_by("name").values_list("enabled", flat=True)) == [False, True]


def test_a_dry_run_writes_nothing(two: list[PeriodicTask], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_beat", dry_run=True, disable_original=True)

    said = capsys.readouterr().out
    assert "Nothing was written: this is a dry run." in said
    assert "Would be switched off in beat: Nightly, Poll." in said
    assert not Project.objects.exists()
    assert PeriodicTask.objects.filter(enabled=True).count() == 2


def test_what_cannot_be_tracked_stops_the_rest_unless_it_is_left_out(
    make_periodic: Callable[..., PeriodicTask], two: list[PeriodicTask], capsys: pytest.CaptureFixture[str]
) -> None:
    make_periodic("Once", one_off=True)

    with pytest.raises(CommandError, match=r"Once: It runs once(.|\n)*--skip-bad"):
        call_command("import_beat")
    assert not Project.objects.exists()

    call_command("import_beat", skip_bad=True)
    assert "left out: Once: It runs once" in capsys.readouterr().out
    assert Schedule.objects.count() == 2


def test_a_name_that_none_has_is_named(two: list[PeriodicTask]) -> None:
    with pytest.raises(CommandError, match="There is no periodic task 'Nigtly'"):
        call_command("import_beat", "Nigtly", "Poll")

    assert not Project.objects.exists()


def test_a_bad_name_for_the_project_is_refused(two: list[PeriodicTask]) -> None:
    with pytest.raises(CommandError, match="--project: Give a name"):
        call_command("import_beat", project="1st")
