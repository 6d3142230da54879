"""DOOR: check a project's folder before it is pushed. Exit status: 0 fine, 1 mistakes, 2 wrong usage."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.management.checking import check_folder, text_of
from scheduler.management.tables import as_json


class Command(BaseCommand):
    help = (
        "Read the .dig files of a folder as a push would, and print the workflows: their tasks, parameters and "
        "schedules, with the first session and when it runs. Mistakes are told with file, line and a hint. "
        "Nothing is stored, and no database is asked. Exit status: 0 fine, 1 mistakes."
    )
    requires_system_checks = ()  # the folder is looked at, not this installation

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="the project's folder, as for push")
        parser.add_argument("--json", action="store_true", help="print JSON instead")

    def handle(self, *args: Any, folder: Path, json: bool, **options: Any) -> None:
        now = datetime.now(UTC)
        workflows = check_folder(folder, now=now)
        if json:
            self.stdout.write(as_json({"workflows": [workflow.entry() for workflow in workflows]}))
        elif workflows:
            self.stdout.write(text_of(workflows, now))
        else:
            self.stderr.write("There are no workflows: no .dig file stands at the top of the folder.")
