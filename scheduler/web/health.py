"""DOOR: whether all parts answer, for monitors (`/healthz`), and whether this process does (`/livez`). Names nothing.

Database and broker are asked in threads of their own: one that hangs is given up after a second, and is not asked
again until it answers or breaks.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from scheduler.celery import app
from scheduler.clock import database_now
from scheduler.models import Attempt, Heartbeat, Lane

Answer = TypeVar("Answer")
PATIENCE_SECONDS = 1.0
ALIVE = timedelta(seconds=60)
OK, LATE, DOWN, UNKNOWN = "ok", "late", "down", "unknown"
STARTED = time.monotonic()

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Facts:
    """What the database knows, at its `now`. None: no tick ever, nothing waits."""

    now: datetime
    last_tick: datetime | None
    is_held: bool
    oldest_released: datetime | None


class Probe(Generic[Answer]):
    """A question that may hang, asked by at most one thread, whose answer all share who ask meanwhile."""

    def __init__(self, name: str, question: Callable[[], Answer]) -> None:
        self.name = name
        self._question = question
        self._lock = threading.Lock()
        self._asked: Future[Answer] | None = None

    def start(self) -> Future[Answer]:
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._ask, args=(self._asked,), name=f"probe-{self.name}", daemon=True).start()
            return self._asked

    def _ask(self, asked: Future[Answer]) -> None:
        try:
            asked.set_result(self._question())
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            asked.set_exception(error)


@require_safe
@never_cache
def livez(_request: HttpRequest) -> JsonResponse:
    """This web process answers. Asks nobody else."""
    return JsonResponse({"status": OK})


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """200 while the database answers and nothing is down; 503 otherwise."""
    started = time.monotonic()
    asked = {probe.name: probe.start() for probe in (DATABASE, BROKER)}
    broker, _ = part("broker", asked["broker"], started)
    database, facts = part("database", asked["database"], started)
    tick, queue = of_facts(facts)
    parts = {"web": {"status": OK}, "database": database, "broker": broker, "tick": tick, "queue": queue}
    status = worst({part["status"] for part in parts.values()})
    return JsonResponse({"status": status, **parts}, status=503 if status == DOWN else 200)


def part(name: str, asked: Future[Any], started: float) -> tuple[dict[str, Any], Any]:
    """How long one probe took, and its answer (None when there is none in time)."""
    try:
        answer = asked.result(max(0.0, started + PATIENCE_SECONDS - time.monotonic()))
        status = OK
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, and TimeoutError: it does not answer
        log.warning("part_down", part=name, error=str(error) or type(error).__name__)
        answer, status = None, DOWN
    return {"status": status, "seconds": round(time.monotonic() - started, 3)}, answer


def of_facts(facts: Facts | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts `tick` and `queue`."""
    if facts is None:
        return {"status": UNKNOWN, "seconds": None}, {"status": UNKNOWN, "seconds": None}
    age, waited = since(facts.last_tick, facts.now), since(facts.oldest_released, facts.now) or 0.0
    tick = worst({tick_status(age), LATE if facts.is_held else OK})
    queue = LATE if waited > settings.HINDCAST_LATE_SECONDS else OK
    return {"status": tick, "seconds": age}, {"status": queue, "seconds": waited}


def tick_status(age: float | None) -> str:
    """Counts from the start of this process, too: everything may have been started a moment ago."""
    silent = min(time.monotonic() - STARTED, float("inf") if age is None else age)
    if silent > settings.HINDCAST_DOWN_SECONDS:
        return DOWN
    return LATE if silent > settings.HINDCAST_LATE_SECONDS else OK


def since(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else round(max(0.0, (now - then).total_seconds()), 3)


def worst(statuses: set[str]) -> str:
    return next(status for status in (DOWN, LATE, OK) if status in statuses)


def ask_database() -> Facts:
    """On a connection of this thread's own, which is opened for it: that, too, has to work."""
    try:
        now = database_now()
        beats = list(Heartbeat.objects.filter(kind=Heartbeat.Kind.BEAT))
        is_held = any(beat.facts.get("held_since") for beat in beats if beat.beat_at > now - ALIVE)
        first = [
            Attempt.objects.claimable().filter(lane=lane).values_list("released_at", flat=True).first() for lane in Lane
        ]
        released = [moment for moment in first if moment]
        return Facts(now, max((beat.beat_at for beat in beats), default=None), is_held, min(released, default=None))
    finally:
        connection.close()


def ask_broker() -> None:
    with app.connection_for_read(connect_timeout=PATIENCE_SECONDS) as broker:
        broker.connect()
        broker.channel().close()


DATABASE = Probe("database", ask_database)
BROKER = Probe("broker", ask_broker)
