"""DOOR: what failed of a backfill, run again. Exit status: 0 done, 1 refused, 2 wrong usage, 3 conflicts."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.api.entries import plan_entry
from scheduler.management.finding import backfill_of
from scheduler.management.plans import refusals_said, show
from scheduler.management.tables import as_json
from scheduler.retrying import retry_failed
from scheduler.web.backfill_acting import retry_name


class Command(BaseCommand):
    help = (
        "Run again, under a new name, those sessions of a backfill whose latest attempt failed or was killed, as "
        "many at once as it ran: all of their tasks, by the revision that the schedule has now. Exit status: 0 done, "
        "also when there is nothing to run again, 1 refused, 3 conflicts."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("backfill_id", type=int, metavar="BACKFILL_ID", help="from `backfills`")
        parser.add_argument("--name", metavar="NAME", help="of the new attempts; made from the time when left out")
        parser.add_argument("-d", "--dry-run", action="store_true", help="print what would run, and run nothing")
        parser.add_argument("--json", action="store_true", help="print JSON, as the API answers it")

    def handle(self, *args: Any, backfill_id: int, name: str | None, dry_run: bool, json: bool, **options: Any) -> None:
        now = datetime.now(UTC)
        backfill = backfill_of(backfill_id)
        wanted = retry_name(backfill, now) if name is None else name
        with refusals_said(self):
            plan = retry_failed(backfill, attempt_name=wanted, dry_run=dry_run, now=now)
        if json:
            self.stdout.write(as_json(plan_entry(plan, now=now)))
        elif not plan.planned:
            self.stderr.write("Nothing of it failed, or what did is being run again.")
        else:
            show(self, plan)
