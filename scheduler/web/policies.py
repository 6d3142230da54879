"""What a schedule does with sessions that are late or in each other's way, in words; and those that it skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.models import CatchUp, Overlap, Schedule, SkipReason
from scheduler.web.times import Moment, duration, moment, zone_or_utc

SKIPS_SHOWN = 50

CATCH_UP = {
    CatchUp.ALL: "Sessions that came due while nothing could start them are all caught up.",
    CatchUp.LATEST: "Of sessions that came due while nothing could start them, the latest alone runs.",
    CatchUp.NONE: "Sessions that came due while nothing could start them are skipped.",
}
OVERLAP = {
    Overlap.ALLOW: "A session runs beside an earlier one that is not done.",
    Overlap.SKIP: "A session is skipped while an earlier one is not done.",
    Overlap.QUEUE_ONE: "A session waits for an earlier one that is not done; while one waits, others are skipped.",
    Overlap.CANCEL_RUNNING: "A session kills an earlier one that is not done, and runs after it.",
}


@dataclass(frozen=True)
class SkipRow:
    time: Moment | None
    reason: str
    noted: Moment | None


def policy_sentences(schedule: Schedule) -> list[str]:
    sentences = [CATCH_UP[CatchUp(schedule.catch_up)], OVERLAP[Overlap(schedule.overlap)]]
    if schedule.skip_delayed_by is not None:
        late = duration(timedelta(seconds=schedule.skip_delayed_by))
        sentences.insert(1, f"One that is late by more than {late} is skipped.")
    return sentences


def skip_rows(schedule: Schedule, now: datetime) -> Sequence[SkipRow]:
    """The latest session times that were skipped, newest first."""
    where = zone_or_utc(schedule.timezone)
    rows = schedule.skips.order_by("-session_time")[:SKIPS_SHOWN]
    return [
        SkipRow(
            time=moment(skip.session_time, where, now),
            reason=SkipReason(skip.reason).label,
            noted=moment(skip.created_at, where, now),
        )
        for skip in rows
    ]
