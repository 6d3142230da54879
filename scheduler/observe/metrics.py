"""The figures of `/metrics`, read from the database at every scrape: right with any number of web processes.

Five queries, each along an index. Attempts that are done are counted for the last five minutes alone: all of them
would mean to read a million rows, and what PostgreSQL guesses is no count.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q, Sum
from prometheus_client import Metric
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from scheduler.models import Attempt, AttemptStatus, Heartbeat, Lane, Schedule, Skip, SkipReason
from scheduler.models.attempt import DONE, LIVE

RECENTLY = timedelta(minutes=5)
SKIPPED_RECENTLY = timedelta(hours=24)
ALIVE = timedelta(seconds=60)
LAG_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True)
class Figures(Collector):
    """All figures as they are at `now`. Names no project, workflow or person."""

    now: datetime

    def collect(self) -> Iterator[Metric]:
        yield from self._live()
        yield from self._recent()
        yield self._tick_lag()
        yield from self._processes()
        yield self._skips()

    # --- attempts ---------------------------------------------------------------------------------------

    def _live(self) -> Iterator[Metric]:
        states: dict[str, int] = defaultdict(int)
        released, waiting = Queue(), Queue()
        for row in live_attempts():
            states[row["status"]] += row["count"]
            if row["status"] == AttemptStatus.QUEUED:
                queue, since = (released, row["released"]) if row["released"] else (waiting, row["created"])
                queue.add(row["lane"], row["count"], (self.now - since).total_seconds())
        yield labelled("hindcast_attempts_live", "Attempts that are not done.", "state", LIVE, states)
        yield from released.metrics("hindcast_queue", "attempts that any free worker may start")
        yield from waiting.metrics("hindcast_turn_queue", "attempts whose turn has not come")

    def _recent(self) -> Iterator[Metric]:
        figures = recent_attempts(self.now - RECENTLY)
        yield labelled(
            "hindcast_attempts_ended_recently", "Attempts that ended in the last 5 minutes.", "state", DONE, figures
        )
        yield gauge(
            "hindcast_attempts_redelivered",
            "Attempts given to a worker more than once: those that run, and those that ended in the last 5 minutes.",
            figures["redelivered"],
        )
        yield GaugeHistogramMetricFamily(
            "hindcast_start_lag_seconds",
            "From released to running, of scheduled attempts that started in the last 5 minutes.",
            buckets=[*((str(most), figures[bucket(most)]) for most in LAG_SECONDS), ("+Inf", figures["started"])],
            gsum_value=figures["lag"].total_seconds() if figures["lag"] else 0.0,
        )

    # --- the clock --------------------------------------------------------------------------------------

    def _tick_lag(self) -> Metric:
        due = Schedule.objects.due(self.now).filter(workflow__project__deleted_at=None)
        first = due.values_list("next_run_time", flat=True).first()
        lag = (self.now - first).total_seconds() if first else 0.0
        return gauge("hindcast_tick_lag_seconds", "How long the longest waiting due schedule has waited.", lag)

    def _processes(self) -> Iterator[Metric]:
        there = list(Heartbeat.objects.filter(beat_at__gt=self.now - timedelta(days=1)))
        beats = [row for row in there if row.kind == Heartbeat.Kind.BEAT]
        alive = [row for row in there if row.beat_at > self.now - ALIVE]
        workers = [row for row in alive if row.kind == Heartbeat.Kind.WORKER]
        if beats:
            age = (self.now - max(row.beat_at for row in beats)).total_seconds()
            yield gauge("hindcast_tick_age_seconds", "Since the last tick of any beat.", age)
        held = any(row.facts.get("held_since") for row in alive)
        yield gauge("hindcast_tick_held", "1 while a beat holds its tick because a clock has jumped.", int(held))
        yield gauge("hindcast_beats", "Beats heard of in the last minute.", sum(row in beats for row in alive))
        yield gauge("hindcast_workers", "Workers heard of in the last minute.", len(workers))
        slots = sum(row.facts.get("slots") or 0 for row in workers)
        yield gauge("hindcast_worker_slots", "Attempts that these workers can run at once.", slots)

    def _skips(self) -> Metric:
        recent = Skip.objects.filter(created_at__gt=self.now - SKIPPED_RECENTLY)
        counts = dict(recent.values_list("reason").annotate(count=Count("*")))
        help_text = "Due sessions that were skipped in the last 24 hours."
        return labelled("hindcast_sessions_skipped_recently", help_text, "reason", SkipReason.values, counts)


class Queue:
    """How many wait in each lane, and how long the first of them has."""

    def __init__(self) -> None:
        self.depth: dict[str, int] = defaultdict(int)
        self.oldest: dict[str, float] = defaultdict(float)

    def add(self, lane: str, count: int, age: float) -> None:
        self.depth[lane] += count
        self.oldest[lane] = max(self.oldest[lane], age)

    def metrics(self, name: str, what: str) -> Iterator[Metric]:
        yield labelled(f"{name}_depth", f"The number of {what}.", "lane", Lane.values, self.depth)
        yield labelled(f"{name}_oldest_seconds", f"The longest wait of {what}.", "lane", Lane.values, self.oldest)


def live_attempts() -> Any:
    """Rows of status, lane and whether released, each with its count and its earliest times."""
    rows = Attempt.objects.live().values("status", "lane", free=Q(released_at__isnull=False)).order_by()
    return rows.annotate(count=Count("*"), released=Min("released_at"), created=Min("created_at"))


def recent_attempts(since: datetime) -> dict[str, Any]:
    """Of what ended after `since`, and what holds a lease now: all that started after `since` is among it."""
    started = Q(lane=Lane.SCHEDULED, started_at__gt=since, released_at__isnull=False)
    ended = Q(finished_at__gt=since)
    lag = ExpressionWrapper(F("started_at") - F("released_at"), output_field=DurationField())
    counts = {state.value: Count("pk", filter=ended & Q(status=state)) for state in DONE}
    within = {
        bucket(most): Count("pk", filter=started & Q(started_at__lte=F("released_at") + timedelta(seconds=most)))
        for most in LAG_SECONDS
    }
    return Attempt.objects.filter(ended | Q(lease_expires_at__isnull=False)).aggregate(
        **counts,
        **within,
        started=Count("pk", filter=started),
        lag=Sum(lag, filter=started),
        redelivered=Count("pk", filter=Q(deliveries__gt=1)),
    )


def bucket(most: float) -> str:
    return f"within_{most:g}".replace(".", "_")


def gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def labelled(name: str, help_text: str, label: str, values: Any, figures: dict[str, Any]) -> Metric:
    """One gauge with a line for each of `values`, those without a figure at 0."""
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value in values:
        family.add_metric([str(value)], figures.get(value, 0))
    return family
