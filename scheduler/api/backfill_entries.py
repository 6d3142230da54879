"""Backfills as the wire shows them, each with what became of its attempts so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Count, F, Max
from django.db.models.lookups import IsNull

from scheduler.api.entries import Entry, instant, name_entry
from scheduler.models import Attempt, AttemptStatus, Backfill
from scheduler.models.attempt import LIVE, digdag_status


@dataclass
class Progress:
    """How many attempts of a backfill there are by state, all states named, and the definition that they run."""

    counts: dict[str, int] = field(default_factory=lambda: {str(status): 0 for status in AttemptStatus})
    definition_id: int | None = None

    @property
    def is_done(self) -> bool:
        return not any(self.counts[status] for status in LIVE)


def backfill_entries(backfills: Iterable[Backfill]) -> list[Entry]:
    """Needs of each its workflow, project and user; counts the attempts of all in one query."""
    rows = list(backfills)
    found = progress_of([row.pk for row in rows])
    return [backfill_entry(row, found[row.pk]) for row in rows]


def progress_of(backfill_ids: Iterable[int]) -> Mapping[int, Progress]:
    """By id. States are those that the attempts themselves are shown with."""
    found = {pk: Progress() for pk in backfill_ids}
    alike = Attempt.objects.filter(backfill__in=list(found)).annotate(waits=IsNull(F("started_at"), True))
    counted = alike.values_list("backfill", "status", "waits").order_by()
    for pk, status, _, count, started_at, definition_id in counted.annotate(
        Count("pk"), Max("started_at"), Max("definition")
    ):
        found[pk].counts[digdag_status(status, started_at)] += count
        found[pk].definition_id = definition_id  # they all have the same
    return found


def backfill_entry(backfill: Backfill, progress: Progress) -> Entry:
    project, workflow, user = backfill.workflow.project, backfill.workflow, backfill.created_by
    return {
        "id": str(backfill.pk),
        "name": backfill.name,
        "project": name_entry(project.pk, project.name),
        "workflow": name_entry(progress.definition_id, workflow.name),
        "scheduleId": id_entry(backfill.schedule_id),
        "fromTime": instant(backfill.from_time),
        "toTime": instant(backfill.to_time) if backfill.to_time else None,
        "count": backfill.count,
        "only": backfill.only,
        "sessions": backfill.sessions,
        "concurrency": backfill.concurrency,
        "poolId": id_entry(backfill.pool_id),
        "createdAt": instant(backfill.created_at),
        "createdBy": user.get_username() if user else None,
        "attempts": progress.counts,
        "done": progress.is_done,
    }


def id_entry(pk: int | None) -> str | None:
    return None if pk is None else str(pk)
