"""DOOR: the log of an attempt, also as it grows. Exit status: 0 shown, 1 refused; at its end, 4 error, 5 killed."""

import argparse
import os
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scheduler.logs import LogUnavailable
from scheduler.management.finding import attempt_of, not_there, task_name
from scheduler.management.reading import Reading, positions_inside
from scheduler.management.refusals import FAILED, KILLED
from scheduler.models import Attempt, AttemptStatus
from scheduler.models.attempt import DONE
from scheduler.web.rows import reason_text

LOOK_SECONDS = 0.5
INTERRUPTED = 130
ENDS = {AttemptStatus.ERROR: ("failed", FAILED), AttemptStatus.KILLED: ("was killed", KILLED)}


class Command(BaseCommand):
    help = (
        "Print what the tasks of an attempt wrote. With -f, print on as it grows, until the attempt is done. Exit "
        "status: 0 printed, 1 there is no such attempt or task; with -f 0 the attempt succeeded, 4 it failed, 5 it "
        "was killed."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("attempt_id", type=int, metavar="ATTEMPT_ID", help="from `attempts`, `start` or `retry`")
        parser.add_argument("-f", "--follow", action="store_true", help="wait for more until the attempt is done")
        parser.add_argument("-t", "--task", metavar="+TASK", help="of this task, and those inside it, alone")

    def handle(self, *args: Any, attempt_id: int, follow: bool, task: str | None, **options: Any) -> None:
        attempt = attempt_of(attempt_id)
        name = task_name(attempt, task) if task is not None else None
        if name is not None and not follow:
            refuse_unknown(attempt, name)
        try:
            self.follow(attempt, name) if follow else self.show(Reading(attempt, name))
        except LogUnavailable as refusal:
            raise CommandError(refusal.message) from None
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # whoever read it, such as `head`, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def follow(self, attempt: Attempt, task: str | None) -> None:
        reading = Reading(attempt, task)
        done = False
        while not done:
            done = is_done(attempt)  # asked before the log is read, so that nothing of the end is missed
            self.show(reading)
            if not done:
                time.sleep(LOOK_SECONDS)
        if task is not None:
            refuse_unknown(attempt, task)
        tell_end(attempt)

    def show(self, reading: Reading) -> None:
        for text in reading.new():
            self.stdout.write(text, ending="")
        self.stdout.flush()


def is_done(attempt: Attempt) -> bool:
    attempt.refresh_from_db(fields=["status"])
    return attempt.status in DONE


def tell_end(attempt: Attempt) -> None:
    """Raises CommandError for one that did not succeed."""
    attempt.refresh_from_db(fields=["status", "reason"])
    if attempt.status in ENDS:
        end, code = ENDS[AttemptStatus(attempt.status)]
        reason = reason_text(attempt)
        raise CommandError(f"Attempt {attempt.pk} {end}{f': {reason}' if reason else '.'}", returncode=code)


def refuse_unknown(attempt: Attempt, task: str) -> None:
    """Raises CommandError, unless the attempt has no tasks at all, as it has not begun."""
    names = list(attempt.tasks.values_list("full_name", flat=True))
    if names and not positions_inside(attempt, task):
        raise not_there("task", task, names, f" in attempt {attempt.pk}")
