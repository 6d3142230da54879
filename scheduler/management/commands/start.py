"""DOOR: start a session from the command line. Exit status: 0 started, 1 refused, 3 it is there already."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.management import session_times
from scheduler.management.finding import definition_named, pool_named
from scheduler.management.launching import launched, params_from, tell


class Command(BaseCommand):
    help = (
        "Start one session of a workflow now, scheduled or not, and print its attempt; `log ATTEMPT_ID -f` follows "
        "it. A session has one attempt without a name: to run it again, give --name. Exit status: 0 started, "
        "1 refused, 3 the session has an attempt of that name, or one that is not done."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("project", metavar="PROJECT")
        parser.add_argument("workflow", metavar="WORKFLOW")
        parser.add_argument("--session", default="now", metavar="TIME", help=session_times.HELP)
        parser.add_argument("--name", "--retry", metavar="NAME", help="name of the attempt, to run a session again")
        parser.add_argument("--revision", metavar="NAME", help="of the project; the newest when left out")
        parser.add_argument(
            "-p", "--param", action="append", default=[], metavar="KEY=VALUE", help="a parameter, as text; repeatable"
        )
        parser.add_argument("-P", "--params-file", type=Path, metavar="FILE", help="parameters, as a JSON object")
        parser.add_argument("--pool", metavar="NAME", help="to run in; that of the schedule when left out")
        parser.add_argument("-d", "--dry-run", action="store_true", help="check everything, and start nothing")
        parser.add_argument("--json", action="store_true", help="print JSON, as the API answers it")

    def handle(self, *args: Any, project: str, workflow: str, session: str, json: bool, **options: Any) -> None:
        now = datetime.now(UTC)
        definition = definition_named(project, workflow, options["revision"])
        attempt = launched(
            definition_id=definition.pk,
            session_time=session_times.session_time_of(session, definition, now),
            retry_attempt_name=options["name"],
            params=params_from(options["param"], options["params_file"]),
            pool_id=pool_named(options["pool"]),
            dry_run=options["dry_run"],
            now=now,
        )
        tell(attempt, json=json, now=now, stdout=self.stdout, stderr=self.stderr)
