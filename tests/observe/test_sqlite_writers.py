"""SQLite with eight writers at once, in threads and in processes: each waits its turn, none is refused."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from scheduler import attempts, ticker
from scheduler.backfill import backfill
from scheduler.models import Lane, Schedule

SECONDS = 5.0
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_eight_writers_never_find_the_database_locked(
    make_schedule: Callable[..., Schedule],
    start_worker: Callable[..., Any],
    start_beat: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("of SQLite")
    past = [make_schedule("*/5 * * * *", name=f"past{number}", disabled_at=NOW) for number in range(2)]
    for number in range(2):
        make_schedule(name=f"due{number}", expression="* * * * *", at=datetime.now(UTC) - timedelta(hours=1))
    worker, beat = start_worker(), start_beat()
    end = time.monotonic() + SECONDS
    done: Counter[str] = Counter()

    def again_and_again(name: str, act: Callable[[int], object]) -> None:
        try:
            while time.monotonic() < end:
                act(done[name])
                done[name] += 1
                time.sleep(0.01)  # SQLite has no queue: one that never lets go would keep the others out
        finally:
            connection.close()

    def fill(schedule: Schedule) -> Callable[[int], object]:
        def act(number: int) -> object:
            an_hour: dict[str, Any] = {"from_time": NOW - timedelta(hours=number + 2), "count": 12}
            return backfill(
                schedule_id=schedule.pk, attempt_name="again", **an_hour, dry_run=False, now=datetime.now(UTC)
            )

        return act

    def claim(_: int) -> None:
        held = attempts.claim(lanes=list(Lane), worker="test", now=datetime.now(UTC))
        if held:
            attempts.succeed(held, now=datetime.now(UTC))

    writers: list[tuple[str, Callable[[int], object]]] = [
        ("fill-0", fill(past[0])),
        ("fill-1", fill(past[1])),
        ("tick", lambda _: ticker.tick(now=datetime.now(UTC))),
        ("reap", lambda _: attempts.reap(now=datetime.now(UTC))),
        ("claim-0", claim),
        ("claim-1", claim),
    ]
    with ThreadPoolExecutor(len(writers)) as threads:
        for future in [threads.submit(again_and_again, *writer) for writer in writers]:
            future.result()
    said = [process.output.read_text() for process in (worker, beat)]

    assert all(done[name] > 2 for name, _ in writers), done
    assert not [text for text in said if "locked" in text]
