"""DOOR: kill a whole backfill from the command line. Exit status: 0 killed or nothing left to kill, 1 not there."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.attempts import kill_backfill
from scheduler.management.finding import backfill_of
from scheduler.web.backfill_acting import counts_of, kill_text, killed_text, nothing_to_kill


class Command(BaseCommand):
    help = "Kill every attempt of a backfill that is not done. What is done stays done, and nothing of it starts."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("backfill_id", type=int, metavar="BACKFILL_ID", help="from `backfills`")
        parser.add_argument("-d", "--dry-run", action="store_true", help="print what would be killed, and kill nothing")

    def handle(self, *args: Any, backfill_id: int, dry_run: bool, **options: Any) -> None:
        backfill = backfill_of(backfill_id)
        if dry_run:
            self.stdout.write(f"{backfill.name}: {kill_text(counts_of(backfill))} Nothing was killed: a dry run.")
            return
        killed = kill_backfill(backfill.pk, now=datetime.now(UTC))
        self.stdout.write(f"{backfill.name}: {killed_text(killed) if killed else nothing_to_kill(counts_of(backfill))}")
