"""DOOR: run an attempt's session again. Exit status: 0 started, 1 refused, 2 wrong usage, 3 it is there already."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from projects.models import WorkflowDefinition
from scheduler.management.finding import attempt_of, pool_named, revision_of, task_name
from scheduler.management.launching import launched, tell
from scheduler.models import Attempt
from scheduler.starting import Resume, ResumeMode
from scheduler.web.acting import retry_name


class Command(BaseCommand):
    help = (
        "Run the session of an attempt again, with the same parameters, and print the new attempt. When nothing else "
        "is said, all tasks run again, by the same revision. Exit status: 0 started, 1 refused, 3 the session has an "
        "attempt of that name, or one that is not done."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("attempt_id", type=int, metavar="ATTEMPT_ID", help="from `attempts`")
        parser.add_argument("--name", metavar="NAME", help="of the new attempt; made from the time when left out")
        add_revisions(parser.add_mutually_exclusive_group())
        add_tasks(parser.add_mutually_exclusive_group())
        parser.add_argument("--pool", metavar="NAME", help="to run in; that of the attempt when left out")
        parser.add_argument("-d", "--dry-run", action="store_true", help="check everything, and start nothing")
        parser.add_argument("--json", action="store_true", help="print JSON, as the API answers it")

    def handle(self, *args: Any, attempt_id: int, json: bool, **options: Any) -> None:
        now = datetime.now(UTC)
        earlier = attempt_of(attempt_id)
        attempt = launched(
            definition_id=definition_for(earlier, latest=options["latest_revision"], revision=options["revision"]),
            session_time=earlier.session.session_time,
            retry_attempt_name=retry_name(earlier, now) if options["name"] is None else options["name"],
            params=earlier.params,
            resume=resume_of(earlier, failed=options["resume"], task=options["resume_from"]),
            pool_id=earlier.pool_id if options["pool"] is None else pool_named(options["pool"]),
            dry_run=options["dry_run"],
            now=now,
        )
        tell(attempt, json=json, now=now, stdout=self.stdout, stderr=self.stderr)


def add_revisions(group: argparse._MutuallyExclusiveGroup) -> None:
    group.add_argument("--keep-revision", action="store_true", help="run what the attempt ran; so it is when left out")
    group.add_argument("--latest-revision", action="store_true", help="run what was pushed last")
    group.add_argument("--revision", metavar="NAME", help="run this revision of the project")


def add_tasks(group: argparse._MutuallyExclusiveGroup) -> None:
    group.add_argument("--all", action="store_true", help="run all tasks; so it is when left out")
    group.add_argument("--resume", action="store_true", help="leave out the tasks that succeeded")
    group.add_argument(
        "--resume-from", metavar="+TASK", help="leave out those that succeeded before this task: +workflow+task"
    )


def definition_for(earlier: Attempt, *, latest: bool, revision: str | None) -> int:
    """Id of the definition to run. Raises CommandError when the revision does not have the workflow."""
    if not latest and revision is None:
        return earlier.definition_id
    workflow = earlier.session.workflow
    wanted = revision_of(workflow.project, revision)
    found = WorkflowDefinition.objects.filter(revision=wanted, workflow=workflow).values_list("pk", flat=True).first()
    if found is None:
        raise CommandError(
            f"Revision {wanted.name!r} has no workflow {workflow.name!r}; --keep-revision runs the old one."
        )
    return found


def resume_of(earlier: Attempt, *, failed: bool, task: str | None) -> Resume | None:
    if task is not None:
        return Resume(earlier.pk, ResumeMode.FROM, task_name(earlier, task))
    return Resume(earlier.pk) if failed else None
