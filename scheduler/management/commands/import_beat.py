"""DOOR: track periodic tasks of Celery. Exit status: 0 done, 1 refused, 2 wrong usage."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django_celery_beat.models import PeriodicTask

from scheduler.errors import InvalidInput
from scheduler.importing.periodic import PROJECT, TasksRefused, Tracking, track
from scheduler.management.imports import REFUSALS, text_of
from scheduler.management.refusals import refusal

OPTIONS = {"project": "--project"}


class Command(BaseCommand):
    help = "Make workflows of django-celery-beat's periodic tasks, with schedules of the same times."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="of periodic tasks; all of them when left out")
        parser.add_argument("--project", default=PROJECT, help=f"name of the project; {PROJECT} when left out")
        parser.add_argument("--disable-original", action="store_true", help="switch the periodic tasks off")
        parser.add_argument("--skip-bad", action="store_true", help="leave out what cannot be tracked")
        parser.add_argument("--dry-run", action="store_true", help="print what would change, and write nothing")

    def handle(self, *args: Any, names: list[str], project: str, **options: Any) -> None:
        now = datetime.now(UTC)
        try:
            tracking = track(
                named(names),
                project_name=project,
                switch_off=options["disable_original"],
                skip_refused=options["skip_bad"],
                dry_run=options["dry_run"],
                now=now,
            )
        except InvalidInput as error:
            raise refusal(error, OPTIONS) from None
        except TasksRefused as error:
            raise CommandError(f"{error.message}\nNothing was written. --skip-bad leaves them out.") from None
        except REFUSALS as error:
            raise CommandError(error.message) from None
        self._say(tracking, now, is_dry=options["dry_run"])

    def _say(self, tracking: Tracking, now: datetime, *, is_dry: bool) -> None:
        for refused in tracking.refusals:
            self.stdout.write(f"left out: {refused}")
        self.stdout.write(text_of(tracking.comparison, now=now, is_dry=is_dry))
        for sentence in tracking.sentences(is_dry=is_dry):
            self.stdout.write(sentence)


def named(names: list[str]) -> list[PeriodicTask]:
    """Those of the names, in their order; all when none is given. Raises CommandError for a name that none has."""
    rows = PeriodicTask.objects.select_related("crontab", "interval", "solar", "clocked").order_by("name")
    if not names:
        return list(rows)
    found = {row.name: row for row in rows.filter(name__in=names)}
    if missing := [name for name in names if name not in found]:
        raise CommandError("\n".join(f"There is no periodic task {name!r}." for name in missing))
    return [found[name] for name in dict.fromkeys(names)]
