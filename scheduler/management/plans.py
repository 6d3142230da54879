"""What a backfill runs, or would run, as commands print it; and its refusals, as they say them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import BaseCommand, CommandError

from scheduler.backfill import BackfillConflict, Plan, ScheduleNotFound
from scheduler.errors import InvalidInput
from scheduler.management.refusals import CONFLICT, refusal
from scheduler.management.tables import table
from scheduler.models import Backfill
from scheduler.retrying import ScheduleGone
from scheduler.web.plan_table import HEADINGS, PlanTable, pace_text, plan_table

OPTIONS = {
    "attempt_name": "--name",
    "from_time": "--from",
    "to_time": "--to",
    "count": "--count",
    "concurrency": "--concurrency",
}


@contextmanager
def refusals_said(command: BaseCommand) -> Iterator[None]:
    """What a backfill raises as CommandError; of conflicts the plan is printed first."""
    try:
        yield
    except (ScheduleGone, ScheduleNotFound) as gone:
        raise CommandError(gone.message) from None
    except InvalidInput as error:
        raise refusal(error, OPTIONS) from None
    except BackfillConflict as conflict:
        command.stderr.write(text_of(plan_table(conflict.plan, limit=None)))
        raise CommandError(f"{conflict.message} Nothing was run.", returncode=CONFLICT) from None


def show(command: BaseCommand, plan: Plan) -> None:
    shown = plan_table(plan, limit=None)
    command.stdout.write(text_of(shown))
    command.stdout.write(summary(shown, plan.backfill))


def text_of(plan: PlanTable) -> str:
    """The plan in columns."""
    return table(HEADINGS, [row.cells for row in plan.rows])


def summary(plan: PlanTable, made: Backfill | None) -> str:
    if not plan.sessions:
        return plan.for_people
    if made is None:
        return f"{plan.for_people}. {plan.counts}. Nothing was run: this is a dry run."
    how = pace_text(made.concurrency)
    return f"{plan.for_people}. {plan.counts}. Backfill {made.pk}, named {made.name}, runs them {how}."
