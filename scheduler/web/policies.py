"""What a schedule does with sessions that are late or in each other's way, in words; and those that it skipped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.models import CatchUp, Overlap, Schedule, SkipReason
from scheduler.web.paging import KeyPage, key_page
from scheduler.web.times import Moment, duration, moment, zone_or_utc

SKIPS_PAGE_SIZE = 50

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


def skip_rows(schedule: Schedule, before: datetime | None, now: datetime) -> KeyPage[SkipRow]:
    """The session times that were skipped, newest first, a page of them."""
    where = zone_or_utc(schedule.timezone)
    rows = schedule.skips.order_by("-session_time")
    if before is not None:
        rows = rows.filter(session_time__lt=before)
    found = list(rows[: SKIPS_PAGE_SIZE + 1])
    last = found[:SKIPS_PAGE_SIZE][-1].session_time.isoformat() if found else None
    lines = [
        SkipRow(
            time=moment(skip.session_time, where, now),
            reason=SkipReason(skip.reason).label,
            noted=moment(skip.created_at, where, now),
        )
        for skip in found
    ]
    return key_page(lines, size=SKIPS_PAGE_SIZE, key="skipped_before", last=last, start=before, kept={})
