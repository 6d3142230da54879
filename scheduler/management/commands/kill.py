"""DOOR: kill attempts from the command line. Exit status: 0 all are being killed, 1 one was done or is not there."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scheduler.attempts import kill
from scheduler.models import Attempt, AttemptStatus


class Command(BaseCommand):
    help = (
        "Kill attempts by their ids. One that is queued is killed at once; one that runs is told to stop, and killed "
        "10 seconds later if it does not. What is done stays done. Exit status: 0 all are being killed, 1 at least "
        "one was done already or is not there; the others are killed all the same."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("attempt_ids", type=int, nargs="+", metavar="ATTEMPT_ID", help="from `attempts`")

    def handle(self, *args: Any, attempt_ids: list[int], **options: Any) -> None:
        refused = [refusal for attempt_id in dict.fromkeys(attempt_ids) if (refusal := self.kill(attempt_id))]
        if refused:
            raise CommandError("\n".join(refused))

    def kill(self, attempt_id: int) -> str:
        """Why it was not killed; "" when it is being killed."""
        killed = kill(attempt_id, now=datetime.now(UTC))
        status = Attempt.objects.filter(pk=attempt_id).values_list("status", flat=True).first()
        if status is None:
            return f"There is no attempt {attempt_id}."
        if not killed:
            return f"Attempt {attempt_id} is {status} already."
        told = "" if status == AttemptStatus.KILLED else ": it is told to stop"
        self.stdout.write(f"attempt {attempt_id}: {status}{told}")
        return ""
