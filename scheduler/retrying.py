"""VERB: run again what failed of a backfill. The sessions are chosen by their outcome; the rest is a backfill."""

from dataclasses import replace
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from scheduler.backfill import BackfillConflict, Plan, Request, begin, checked, locked, planned, submitted
from scheduler.errors import HindcastError
from scheduler.models import Attempt, Backfill
from scheduler.models.attempt import RETRIABLE, AttemptQuerySet
from scheduler.timetable import Slot


class ScheduleGone(HindcastError):  # noqa: N818 - named as the fact
    """The workflow of the backfill has no schedule any more."""

    def __init__(self, backfill: Backfill) -> None:
        super().__init__(f"The schedule of the backfill “{backfill.name}” is not there any more.")
        self.backfill = backfill


def retry_failed(
    backfill: Backfill,
    *,
    attempt_name: str,
    dry_run: bool,
    now: datetime,
    requested_by: AbstractBaseUser | None = None,
) -> Plan:
    """Backfill, under the new name, those sessions of `backfill` whose latest attempt failed or was killed.

    They run all of their tasks, by the revision that the schedule has now, as many at once and in the same pool
    as `backfill`. An empty plan: none of them failed, or all that did are being run again. Raises InvalidInput naming
    `attempt_name`; ScheduleGone; ScheduleNotFound; BackfillConflict naming every session that has an attempt of that
    name. Nothing is written in any of these cases.
    """
    if backfill.schedule_id is None:
        raise ScheduleGone(backfill)
    pace, pool_id = backfill.concurrency, backfill.pool_id
    request = checked(Request(attempt_name, backfill.from_time, concurrency=pace, pool_id=pool_id))
    with transaction.atomic():
        schedule = locked(backfill.schedule_id)
        failed = list(failed_of(backfill.pk).values_list("session__session_time", "last_executed_session_time"))
        # Chosen by what became of them, so there is no run time to ask for: their session times are all it takes.
        slots = [Slot(session_time, session_time) for session_time, _ in failed]
        if slots:
            request = replace(request, from_time=slots[0].session_time)
        plan = planned(schedule, slots, request)
        for item, (_, last_executed) in zip(plan.planned, failed, strict=True):
            item.last_executed_session_time = last_executed  # others of the backfill lie between them
        if plan.conflicts:
            raise BackfillConflict(plan)
        if dry_run or not plan.planned:
            return plan
        plan = submitted(plan, requested_by, now)
        begin([plan], now=now)
        return plan


def failed_of(backfill_id: int) -> AttemptQuerySet:
    """The latest attempts of its sessions that failed or were killed, in the order of session time."""
    sessions = Attempt.objects.filter(backfill=backfill_id).values("session")
    failed = Attempt.objects.filter(session__in=sessions, is_latest=True, status__in=RETRIABLE)
    return failed.order_by("session__session_time")
