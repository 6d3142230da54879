"""DOOR: backfills at the command line, the newest first. Exit status: 0 listed, 1 refused, 2 wrong usage."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.api.backfill_entries import backfill_entries
from scheduler.management import paging
from scheduler.management.finding import workflows_named
from scheduler.management.runs import backfills_table
from scheduler.management.tables import as_json
from scheduler.models import Backfill


class Command(BaseCommand):
    help = (
        "List backfills, the newest first, each with how many of its attempts are in which state: of all projects, of "
        "one project, or of one workflow. Those that are told to stop count as running until they have. The ids are "
        "what `kill_backfill` and `retry_backfill` take."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", metavar="PROJECT")
        parser.add_argument("workflow", nargs="?", metavar="WORKFLOW")
        paging.add_arguments(parser)

    def handle(self, *args: Any, project: str | None, workflow: str | None, json: bool, **options: Any) -> None:
        rows = Backfill.objects.filter(workflow__in=workflows_named(project, workflow)).with_names()
        count = options["count"]
        found = backfill_entries(paging.newest(rows, last_id=options["last_id"], count=count))
        shown = found[:count]
        if json:
            self.stdout.write(as_json({"backfills": shown}))
        elif shown:
            self.stdout.write(backfills_table(shown))
        else:
            self.stderr.write("There are no backfills.")
        if len(found) > count:
            self.stderr.write(paging.going_on(shown, "backfills"))
