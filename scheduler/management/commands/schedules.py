"""DOOR: schedules at the command line, by id. Exit status: 0 listed, 1 refused, 2 wrong usage."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.api.entries import schedule_entry
from scheduler.management import paging
from scheduler.management.finding import workflows_named
from scheduler.management.runs import schedules_table
from scheduler.management.tables import as_json
from scheduler.models import Schedule


class Command(BaseCommand):
    help = (
        "List schedules by rising id: of all projects, of one project, or of one workflow, each with its next session "
        "and when that runs. Session times are shown with the offset of the workflow's time zone, run times in UTC. "
        "Their ids are what `backfill` takes."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", metavar="PROJECT")
        parser.add_argument("workflow", nargs="?", metavar="WORKFLOW")
        paging.add_arguments(parser, onward="above this id: newer ones")

    def handle(self, *args: Any, project: str | None, workflow: str | None, json: bool, **options: Any) -> None:
        rows = Schedule.objects.filter(workflow__in=workflows_named(project, workflow)).order_by("pk")
        rows = rows.filter(pk__gt=options["last_id"] or 0).select_related("workflow__project")
        count = options["count"]
        found = [schedule_entry(schedule) for schedule in rows[: count + 1]]
        shown = found[:count]
        if json:
            self.stdout.write(as_json({"schedules": shown}))
        elif shown:
            self.stdout.write(schedules_table(shown))
        else:
            self.stderr.write("There are no schedules.")
        if len(found) > count:
            self.stderr.write(paging.going_on(shown, "schedules"))
