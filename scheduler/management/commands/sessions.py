"""DOOR: sessions at the command line, the newest first. Exit status: 0 listed, 1 refused, 2 wrong usage."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.api.entries import session_entries
from scheduler.api.rows import session_rows
from scheduler.management import paging
from scheduler.management.finding import workflows_named
from scheduler.management.runs import sessions_table
from scheduler.management.tables import as_json
from scheduler.models import Session


class Command(BaseCommand):
    help = (
        "List sessions, the newest first, each with its latest attempt: of all projects, of one project, or of one "
        "workflow. Session times are shown with the offset of the workflow's time zone."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", metavar="PROJECT")
        parser.add_argument("workflow", nargs="?", metavar="WORKFLOW")
        paging.add_arguments(parser)

    def handle(self, *args: Any, project: str | None, workflow: str | None, json: bool, **options: Any) -> None:
        rows = Session.objects.filter(workflow__in=workflows_named(project, workflow))
        count = options["count"]
        page = paging.newest(rows, last_id=options["last_id"], count=count)
        found = session_entries(session_rows(page))["sessions"]
        shown = found[:count]
        if json:
            self.stdout.write(as_json({"sessions": shown}))
        elif shown:
            self.stdout.write(sessions_table(shown))
        else:
            self.stderr.write("There are no sessions.")
        if len(found) > count:
            self.stderr.write(paging.going_on(shown, "sessions"))
