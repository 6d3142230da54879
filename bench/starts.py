"""How late sessions start: on time, in a crowd, after an outage, beside a backfill, and after a worker was killed.

    BENCH_BROKER_URL=redis://… python bench/starts.py [--lag] [--crowd] [--idle] [--catch-up] [--beside] [--recovery]

All of them unless some are named; on PostgreSQL (BENCH_DATABASE_URL), with a real beat and worker. Medians of
`--rounds`. The start lag is the time from the run time of a session to the start of its attempt.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import scratch

ECHO = {"+hello": {"echo>": "hello"}}
QUEUES = ["-Q", "scheduled,manual,backfill,celery", "--without-mingle", "--without-gossip", "--without-heartbeat"]
Rows = list[tuple[str, str, str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60, help="how long the start lag is watched")
    for name in FIGURES:
        parser.add_argument(f"--{name}", action="store_true")
    options = parser.parse_args()
    scratch.django_on_scratch("starts")
    print(f"{scratch.machine()}; broker {urlsplit(os.environ['BROKER_URL']).scheme or 'embedded'}", flush=True)
    named = [name for name in FIGURES if getattr(options, name.replace("-", "_"))]
    rows: Rows = []
    for name in named or FIGURES:
        clear()
        rows += FIGURES[name](options)
    print(scratch.table(rows))


def lag(options: argparse.Namespace) -> Rows:
    """20 schedules of a session every second."""
    p50s, p99s = [], []
    for _ in range(options.rounds):
        clear()
        schedules("1", 20, next_at=datetime.now(UTC) + timedelta(seconds=8))
        with worker(), beat():
            time.sleep(options.seconds + 8)
        p50, p99 = percentiles(lags()[100:])
        p50s.append(p50)
        p99s.append(p99)
    return [
        ("start lag at 20 starts/s, p50", f"{statistics.median(p50s):.2f} s", "0.7 s", ""),
        ("start lag at 20 starts/s, p99", f"{statistics.median(p99s):.2f} s", "2 s", "5 s"),
    ]


def crowd(options: argparse.Namespace) -> Rows:
    """1,000 of 10,000 schedules fall due in one second."""
    from scheduler import ticker
    from scheduler.models import Schedule, Session

    far = datetime.now(UTC) + timedelta(days=400)
    pks = schedules("86400", 10_000, next_at=far)
    due = datetime.now(UTC) - timedelta(seconds=1)

    def tick(number: int) -> None:
        ticker.tick(now=due + timedelta(milliseconds=number))
        assert Session.objects.count() == 1_000 * (number + 1)

    spent = []
    for number in range(options.rounds):
        chosen = pks[number * 1_000 : (number + 1) * 1_000]
        Schedule.objects.filter(pk__in=chosen).update(next_session_time=due, next_run_time=due)
        spent += scratch.timings(lambda _, number=number: tick(number), 1)  # type: ignore[misc]
    took = statistics.median(spent)
    return [("1,000 of 10,000 schedules due in one second, all committed", f"{took:.2f} s", "3 s", "10 s")]


def idle(options: argparse.Namespace) -> Rows:
    """Nothing is due among 10,000 schedules, after 1,000,000 sessions."""
    from scheduler import ticker

    schedules("86400", 10_000, next_at=datetime.now(UTC) + timedelta(days=400))
    fill_past(100)
    now = datetime.now(UTC)
    took = statistics.median(scratch.timings(lambda _: ticker.tick(now=now), 10 * options.rounds))
    return [("idle tick, 10,000 schedules, 1,000,000 past sessions", f"{took * 1000:.1f} ms", "10 ms", "50 ms")]


def catch_up(options: argparse.Namespace) -> Rows:
    """100 schedules every five minutes were away for three days; another has a session every second meanwhile.

    Its lags count from the first tick on: before that, beat and worker are only being started.
    """
    from scheduler.models import Session

    spent, p99s = [], []
    for _ in range(options.rounds):
        clear()
        now = datetime.now(UTC)
        live = schedules("1", 1, next_at=now + timedelta(seconds=1), project="live")
        late = schedules("300", 100, next_at=now - timedelta(days=3))
        wanted = 864 * len(late)
        with worker(), beat():
            began = time.perf_counter()
            while Session.objects.filter(workflow__schedule__in=late).count() < wanted:
                if time.perf_counter() - began > 300:
                    raise SystemExit(f"not caught up after 300 s: {Session.objects.count()} of {wanted}")
                time.sleep(0.2)
            spent.append(time.perf_counter() - began)
        p99s.append(percentiles(lags(schedule=live[0], ticked=True))[1])
    return [
        ("86,400 slots caught up", f"{statistics.median(spent):.1f} s", "30 s", "120 s"),
        ("  start lag of a live schedule meanwhile, p99", f"{statistics.median(p99s):.2f} s", "3 s", ""),
    ]


def beside(options: argparse.Namespace) -> Rows:
    """5 scheduled starts a second beside a backfill of 10,000 sessions."""
    from scheduler.backfill import backfill
    from scheduler.models import Attempt

    p99s, shares = [], []
    for _ in range(options.rounds):
        clear()
        now = datetime.now(UTC)
        schedules("1", 5, next_at=now + timedelta(seconds=8), project="live")
        (past,) = schedules("60", 1, next_at=now + timedelta(days=1))
        backfill(
            schedule_id=past,
            attempt_name="again",
            from_time=now + timedelta(days=1) - timedelta(minutes=10_001),
            count=10_000,
            dry_run=False,
            now=now,
        )
        with worker(), beat():
            time.sleep(options.seconds + 8)
            ended = Attempt.objects.filter(finished_at__isnull=False)
            shares.append(ended.filter(lane="backfill").count() / max(ended.count(), 1))
        p99s.append(percentiles(lags(lane="scheduled")[25:])[1])
    return [
        ("start lag beside a backfill of 10,000, p99", f"{statistics.median(p99s):.2f} s", "3 s", "10 s"),
        ("  the backfill's share of what ran", f"{statistics.median(shares):.0%}", "10 %", "5 %"),
    ]


def recovery(options: argparse.Namespace) -> Rows:
    """A worker is killed in the middle of an attempt; another is there. Default leases."""
    from scheduler import dispatch
    from scheduler.models import Attempt, Lane, Session

    spent = []
    for _ in range(options.rounds):
        clear()
        (schedule,) = schedules("86400", 1, next_at=datetime.now(UTC) + timedelta(days=1), document=SLEEP)
        with beat():
            with worker() as dying:
                attempt = queued(schedule, Session, Attempt, Lane)
                dispatch.send(Lane.MANUAL, 1)
                until(Attempt.objects.filter(pk=attempt, status="running").exists)
                time.sleep(1)
                dying.kill()
                began = time.perf_counter()
            with worker():
                until(Attempt.objects.filter(pk=attempt, deliveries=2).exists, seconds=120)
                spent.append(time.perf_counter() - began)
    return [("a killed worker's attempt running again", f"{statistics.median(spent):.1f} s", "50 s", "75 s")]


SLEEP = {"+sleep": {"sh>": "sleep 300"}}
FIGURES: dict[str, Callable[[argparse.Namespace], Rows]] = {
    "lag": lag,
    "crowd": crowd,
    "idle": idle,
    "catch-up": catch_up,
    "beside": beside,
    "recovery": recovery,
}


# --- the pieces ----------------------------------------------------------------------------------------


def clear() -> None:
    """Start from nothing; what earlier figures left would be found due."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE projects_project, scheduler_session, scheduler_attempt RESTART IDENTITY CASCADE")


def schedules(
    seconds: str, count: int, *, next_at: datetime, project: str = "bench", document: dict[str, Any] | None = None
) -> list[int]:
    """`count` workflows with a session every so many seconds, from the whole second of `next_at` on."""
    from projects.models import Project, Revision, Workflow, WorkflowDefinition
    from scheduler.models import Schedule

    now, at = datetime.now(UTC), aligned(next_at, int(seconds))
    owner = Project.objects.create(name=project, created_at=now)
    revision = Revision.objects.create(project=owner, name="1", created_at=now)
    workflows = Workflow.objects.bulk_create(Workflow(project=owner, name=f"w{number}") for number in range(count))
    definitions = WorkflowDefinition.objects.bulk_create(
        WorkflowDefinition(revision=revision, workflow=workflow, document=document or ECHO) for workflow in workflows
    )
    rows = Schedule.objects.bulk_create(
        Schedule(
            workflow=definition.workflow,
            definition=definition,
            kind="seconds_interval",
            expression=seconds,
            next_session_time=at,
            next_run_time=at,
            created_at=now,
            updated_at=now,
        )
        for definition in definitions
    )
    return [row.pk for row in rows]


def aligned(at: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


def fill_past(days: int) -> None:
    """A successful session a day of each workflow."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO scheduler_session (workflow_id, session_time, uuid, created_at)
            SELECT workflow_id, date_trunc('day', now()) - day * interval '1 day', gen_random_uuid(), now()
              FROM scheduler_schedule, generate_series(1, %s) day""",
            [days],
        )
        cursor.execute(
            """
            INSERT INTO scheduler_attempt (session_id, workflow_id, definition_id, index, name, is_latest, status,
                   reason, params, lane, created_at, released_at, started_at, finished_at, worker, lease_token,
                   deliveries)
            SELECT session.id, session.workflow_id, schedule.definition_id, 1, '', true, 'success', '{}', '{}',
                   'scheduled', now(), now(), now(), now(), '', 1, 1
              FROM scheduler_session session JOIN scheduler_schedule schedule USING (workflow_id)"""
        )
        cursor.execute("ANALYZE")


def queued(schedule_id: int, session: Any, attempt: Any, lane: Any) -> int:
    from scheduler.models import Schedule

    schedule, now = Schedule.objects.get(pk=schedule_id), datetime.now(UTC)
    row = session.objects.create(workflow_id=schedule.workflow_id, session_time=now, created_at=now)
    moments = {"created_at": now, "released_at": now}
    what = {"workflow_id": schedule.workflow_id, "definition_id": schedule.definition_id, "lane": lane.MANUAL}
    return int(attempt.objects.create(session=row, index=1, **what, **moments).pk)


def lags(*, schedule: int | None = None, lane: str | None = None, ticked: bool = False) -> list[float]:
    """Seconds from the session time to the start, in the order of the sessions (delays are none here).

    `ticked`: only of sessions that came due after the first tick.
    """
    from django.db.models import Min

    from scheduler.models import Attempt

    rows = Attempt.objects.filter(started_at__isnull=False)
    if schedule:
        rows = rows.filter(session__workflow__schedule=schedule)
    if lane:
        rows = rows.filter(lane=lane)
    if ticked:
        rows = rows.filter(session__session_time__gt=Attempt.objects.aggregate(first=Min("created_at"))["first"])
    times = rows.order_by("session__session_time").values_list("session__session_time", "started_at")
    return [(started - due).total_seconds() for due, started in times]


def percentiles(values: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    if len(values) < 5:
        raise SystemExit(f"only {len(values)} sessions started")
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"nothing after {seconds} s")
        time.sleep(0.05)


def worker() -> Any:
    return celery("worker", "--pool", "prefork", "-c", "2", "-l", "WARNING", *QUEUES)


def beat() -> Any:
    return celery("beat", "-l", "WARNING", "--pidfile=")


@contextmanager
def celery(*arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "celery", "-A", "scheduler", *arguments]
    process = subprocess.Popen(command, cwd=scratch.ROOT, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
