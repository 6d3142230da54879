"""DOOR: attempts at the command line, the newest first, or all of one. Exit status: 0 shown, 1 refused."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scheduler.api.entries import attempt_entries, task_entries
from scheduler.api.rows import attempt_rows
from scheduler.management import paging
from scheduler.management.finding import attempt_of, session_of, workflows_named
from scheduler.management.runs import attempt_facts, attempts_table, entry_of, tasks_table
from scheduler.management.tables import as_json
from scheduler.models import Attempt
from scheduler.models.attempt import AttemptQuerySet


class Command(BaseCommand):
    help = (
        "List attempts, the newest first: of all projects, of one project, of one workflow, or of one session. With "
        "--attempt, show all of one, and with --tasks its tasks. Session times are shown with the offset of the "
        "workflow's time zone, all others in UTC."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", metavar="PROJECT")
        parser.add_argument("workflow", nargs="?", metavar="WORKFLOW")
        one = parser.add_mutually_exclusive_group()
        one.add_argument("--session", type=int, metavar="ID", help="the attempts of this session alone")
        one.add_argument("--attempt", type=int, metavar="ID", help="everything about this attempt")
        parser.add_argument("--tasks", action="store_true", help="with --attempt: its tasks, too")
        paging.add_arguments(parser)

    def handle(self, *args: Any, attempt: int | None, tasks: bool, json: bool, **options: Any) -> None:
        refuse_senseless(attempt=attempt, tasks=tasks, **options)
        if attempt is not None:
            self.show(attempt_of(attempt), tasks=tasks, json=json)
        else:
            self.list(asked_for(**options), json=json, **options)

    def show(self, attempt: Attempt, *, tasks: bool, json: bool) -> None:
        entry, rows = entry_of(attempt.pk), list(attempt.tasks.order_by("position")) if tasks else []
        if json:
            self.stdout.write(as_json({**entry, **(task_entries(attempt, rows) if tasks else {})}))
            return
        self.stdout.write(attempt_facts(attempt, entry, datetime.now(UTC)))
        if rows:
            self.stdout.write(f"\n{tasks_table(rows)}")

    def list(self, rows: AttemptQuerySet, *, json: bool, count: int, last_id: int | None, **options: Any) -> None:
        found = attempt_entries(attempt_rows(paging.newest(rows, last_id=last_id, count=count)))["attempts"]
        shown = found[:count]
        if json:
            self.stdout.write(as_json({"attempts": shown}))
        elif shown:
            self.stdout.write(attempts_table(shown))
        else:
            self.stderr.write("There are no attempts.")
        if len(found) > count:
            self.stderr.write(paging.going_on(shown, "attempts"))


def asked_for(*, project: str | None, workflow: str | None, session: int | None, **_: Any) -> AttemptQuerySet:
    if session is not None:
        return Attempt.objects.filter(session=session_of(session))
    return Attempt.objects.filter(workflow__in=workflows_named(project, workflow))


def refuse_senseless(*, attempt: int | None, tasks: bool, project: str | None, session: int | None, **_: Any) -> None:
    if project is not None and (attempt is not None or session is not None):
        raise CommandError("Give a project, or --session, or --attempt.")
    if tasks and attempt is None:
        raise CommandError("--tasks goes with --attempt ID.")
