"""DOOR: take over a crontab. Exit status: 0 done, 1 refused, 2 wrong usage."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scheduler.errors import InvalidInput
from scheduler.importing.crontab import CrontabTaken, LinesRefused, take_over
from scheduler.importing.names import name_from
from scheduler.management.imports import REFUSALS, text_of
from scheduler.management.refusals import refusal

MOST_BYTES = 1024 * 1024
OPTIONS = {"project": "--project", "timezone": "--timezone"}
LOCALTIME, ZONES, STANDARD_INPUT = Path("/etc/localtime"), "/zoneinfo/", "-"


class Command(BaseCommand):
    help = "Make a project of a crontab: a workflow for each line, with a schedule of the same times."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="such as crontab -l prints; - for standard input")
        parser.add_argument("--project", help="name of the project; that of the file when left out")
        parser.add_argument(
            "--timezone", help="of the times, such as Europe/Berlin; that of this machine when left out"
        )
        parser.add_argument(
            "--system", action="store_true", help="lines name a user before the command, as /etc/crontab"
        )
        parser.add_argument("--skip-bad", action="store_true", help="leave out lines that cannot be taken")
        parser.add_argument("--dry-run", action="store_true", help="print what would change, and write nothing")

    def handle(self, *args: Any, file: str, project: str | None, timezone: str | None, **options: Any) -> None:
        source = "crontab" if file == STANDARD_INPUT else Path(file).name
        zone = timezone or zone_of_this_machine()
        now = datetime.now(UTC)
        try:
            taken = take_over(
                text_in(file),
                source=source,
                project_name=project or name_from(Path(source).stem, otherwise="crontab"),
                timezone=zone,
                has_users=options["system"],
                skip_bad=options["skip_bad"],
                dry_run=options["dry_run"],
                now=now,
            )
        except InvalidInput as error:
            raise refusal(error, OPTIONS) from None
        except LinesRefused as error:
            raise CommandError(f"{error.message}\nNothing was written. --skip-bad leaves them out.") from None
        except REFUSALS as error:
            raise CommandError(error.message) from None
        if timezone is None:
            self.stdout.write(f"Times are in {zone}, the time zone of this machine; --timezone names another.")
        self._say(taken, now, is_dry=options["dry_run"])

    def _say(self, taken: CrontabTaken, now: datetime, *, is_dry: bool) -> None:
        for note in taken.notes:
            self.stdout.write(f"note: {note}")
        for line in taken.left_out:
            self.stdout.write(f"left out: {line}")
        self.stdout.write(text_of(taken.comparison, now=now, is_dry=is_dry))


def text_in(file: str) -> str:
    """Raises CommandError for what cannot be read, or is no text."""
    try:
        with sys.stdin.buffer if file == STANDARD_INPUT else Path(file).open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise CommandError(f"{file} is longer than {MOST_BYTES:,} bytes.")
        return content.decode()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CommandError(f"{file} is not UTF-8, first in line {line}.") from None


def zone_of_this_machine() -> str:
    """What cron goes by. Not the TZ of this process, which Django sets."""
    _, found, name = os.path.realpath(LOCALTIME).partition(ZONES)
    return name if found else "UTC"
