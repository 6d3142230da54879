"""DOOR: push a folder from the command line. Exit status: 0 pushed, 1 refused, 2 wrong usage."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError
from django.forms import ValidationError

from projects.dig import FilesRefused
from projects.folders import pack_folder
from projects.revisions import RevisionTaken
from projects.tar import BadArchive
from scheduler.errors import InvalidInput
from scheduler.management.refusals import refusal
from scheduler.models import Schedule
from scheduler.pushing import Start, push
from scheduler.web.forms import read_time
from scheduler.web.times import local_text, zone_or_utc

OPTIONS = {
    "project": "--project",
    "revision": "--revision",
    "schedule_from": "--schedule-from",
    "clear_schedule": "--clear-schedule",
}


class Command(BaseCommand):
    help = "Make the .dig files and all other files of a folder the newest revision of a project, and schedule them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument("--project", help="name of the project; that of the folder when left out")
        parser.add_argument("--revision", help="name of the revision; made up when left out")
        parser.add_argument(
            "--schedule-from",
            metavar="TIME",
            help="new schedules run from then on: in UTC, or with an offset; now when left out",
        )
        parser.add_argument(
            "--clear-schedule",
            action="append",
            default=[],
            metavar="WORKFLOW",
            help="its schedule starts as if it were new; repeatable",
        )
        parser.add_argument("--clear-schedule-all", action="store_true", help="every schedule starts as if it were new")

    def handle(self, *args: Any, folder: Path, project: str | None, revision: str | None, **options: Any) -> None:
        name = project or folder.resolve().name
        try:
            with pack_folder(folder) as upload:
                pushed = push(
                    project_name=name,
                    revision_name=revision or str(uuid4()),
                    upload=upload,
                    start=start_of(options),
                    now=datetime.now(UTC),
                )
        except InvalidInput as error:
            raise refusal(error, OPTIONS) from None
        except (FilesRefused, RevisionTaken) as error:
            raise CommandError(error.message) from None
        except (BadArchive, NotADirectoryError) as error:
            raise CommandError(str(error)) from None
        count = pushed.definitions.count()
        self.stdout.write(f"{name}: revision {pushed.name}, {count} workflow{'' if count == 1 else 's'}.")
        for schedule in Schedule.objects.filter(definition__revision=pushed).select_related("workflow").order_by("pk"):
            self.stdout.write(f"  {schedule.workflow.name}: {following(schedule)}")


def start_of(options: dict[str, Any]) -> Start:
    """Raises CommandError for a time that is none."""
    text = options["schedule_from"]
    try:
        at = None if text is None else read_time(text, UTC, "UTC")
    except ValidationError as error:
        raise CommandError(f"--schedule-from: {' '.join(error.messages)}") from None
    return Start(at, frozenset(options["clear_schedule"]), options["clear_schedule_all"])


def following(schedule: Schedule) -> str:
    """When it runs next, by the clocks of its zone."""
    if schedule.next_run_time is None or schedule.next_session_time is None:
        return "never runs again"
    place = zone_or_utc(schedule.timezone)
    session, run = (local_text(moment, place) for moment in (schedule.next_session_time, schedule.next_run_time))
    state = ", disabled" if schedule.disabled_at else ""
    return f"schedule {schedule.pk}, next session {session}, runs {run} ({schedule.timezone}){state}"
