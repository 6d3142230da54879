"""DOOR: a backfill from the command line. Exit status: 0 done, 1 refused, 2 wrong usage, 3 conflicts."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.forms import ValidationError

from scheduler.api.entries import plan_entry
from scheduler.backfill import backfill
from scheduler.management.finding import pool_named
from scheduler.management.plans import refusals_said, show
from scheduler.management.tables import as_json
from scheduler.models import Schedule
from scheduler.models.backfill import Only
from scheduler.web.forms import read_time
from scheduler.web.times import zone_or_utc


class Command(BaseCommand):
    help = "Run past sessions of a schedule again. Exit status: 0 done, 1 refused, 3 conflicts."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("schedule_id", type=int, metavar="SCHEDULE_ID", help="from `schedules`")
        parser.add_argument(
            "--from",
            dest="from_time",
            required=True,
            metavar="TIME",
            help="runs due then or later: local in the schedule's zone (2026-11-23 00:00), or with an offset",
        )
        parser.add_argument("--to", dest="to_time", metavar="TIME", help="runs due before that time; all when left out")
        parser.add_argument("--count", type=int, help="instead of --to: how many sessions")
        parser.add_argument(
            "--only",
            type=Only,
            choices=Only,
            default=Only.ALL,
            help="those that were never run, that failed or were killed, or both",
        )
        parser.add_argument(
            "--concurrency", type=int, default=1, metavar="N", help="how many run at once; one when left out"
        )
        parser.add_argument("--name", help="of the attempts; made from the time when left out")
        parser.add_argument("--pool", metavar="NAME", help="to run in; that of the schedule when left out")
        parser.add_argument("-d", "--dry-run", action="store_true", help="print what would run, and run nothing")
        parser.add_argument("--json", action="store_true", help="print JSON, as the API answers it")

    def handle(
        self, *args: Any, schedule_id: int, from_time: str, to_time: str | None, dry_run: bool, **options: Any
    ) -> None:
        now = datetime.now(UTC)
        with refusals_said(self):
            plan = backfill(
                schedule_id=schedule_id,
                attempt_name=f"backfill-{now:%Y-%m-%dT%H%M%SZ}" if options["name"] is None else options["name"],
                from_time=time_in_zone_of(schedule_id, from_time, "--from"),
                to_time=None if to_time is None else time_in_zone_of(schedule_id, to_time, "--to"),
                count=options["count"],
                only=options["only"],
                concurrency=options["concurrency"],
                pool_id=pool_named(options["pool"]),
                dry_run=dry_run,
                now=now,
            )
        if options["json"]:
            self.stdout.write(as_json(plan_entry(plan, now=now)))
            return
        show(self, plan)


def time_in_zone_of(schedule_id: int, text: str, option: str) -> datetime:
    """`text` as an instant; without an offset it is local in the schedule's zone. Raises CommandError."""
    timezone = Schedule.objects.filter(pk=schedule_id).values_list("timezone", flat=True).first()
    if timezone is None:
        raise CommandError(f"There is no schedule {schedule_id}.")
    try:
        return read_time(text, zone_or_utc(timezone), timezone)
    except ValidationError as error:
        raise CommandError(f"{option}: {' '.join(error.messages)}") from None
