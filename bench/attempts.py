"""How fast attempts run, end to end: released in the database, claimed, run and finished by a Celery worker.

    BENCH_BROKER_URL=redis://… python bench/attempts.py [--attempts 2000] [--rounds 5] [--slots 2] [--pool prefork]

On PostgreSQL (BENCH_DATABASE_URL) and the broker of BENCH_BROKER_URL, or with --sqlite on the embedded defaults.

Prints, as medians of the rounds: `echo>` attempts per second, `sh>: true` attempts per second, and the time from the
trigger to the success of a single attempt on an idle system.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import scratch

START = datetime(2020, 1, 1, tzinfo=UTC)
SINGLES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--attempts", type=int, default=2000, help="echo> attempts; half as many sh> attempts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--pool", default="prefork", choices=["prefork", "threads"])
    parser.add_argument("--sqlite", action="store_true", help="the embedded defaults instead of PostgreSQL")
    options = parser.parse_args()
    scratch.django_on_scratch("attempts", database="" if options.sqlite else None)
    print(f"{scratch.machine()}; broker {urlsplit(os.environ['BROKER_URL']).scheme or 'embedded'}")
    with worker(options.pool, options.slots):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    for name, document, count in (
        ("echo>", {"+hello": {"echo>": "hello ${session_time}"}}, options.attempts),
        ("sh>: true", {"+hello": {"sh>": "true"}}, options.attempts // 2),
    ):
        workflow = Workflow(name, document)
        workflow.run(20)  # connections are made, definitions read
        rates = [count / workflow.run(count) for _ in range(options.rounds)]
        line = f"{name:10} {statistics.median(rates):7.0f} attempts/s on {options.slots} {options.pool} slots"
        print(f"{line}   (rounds: {', '.join(f'{rate:.0f}' for rate in rates)})")
        singles = [single(workflow) for _ in range(SINGLES)]
        print(f"{name:10} {statistics.median(singles) * 1000:7.1f} ms from trigger to success, idle, of {SINGLES}")


def single(workflow: "Workflow") -> float:
    time.sleep(0.2)
    return workflow.run(1)


class Workflow:
    """A workflow with sessions without end, one minute apart."""

    def __init__(self, name: str, document: dict[str, object]) -> None:
        from projects.models import Project, Revision, Workflow, WorkflowDefinition

        project = Project.objects.create(name=name, created_at=START)
        revision = Revision.objects.create(project=project, name="1", created_at=START)
        self._row = Workflow.objects.create(project=project, name="bench")
        self._definition = WorkflowDefinition.objects.create(revision=revision, workflow=self._row, document=document)
        self._minutes = 0

    def run(self, count: int) -> float:
        """Seconds from the trigger of `count` attempts at once until all are done."""
        from scheduler import dispatch
        from scheduler.models import Attempt, AttemptStatus, Lane, Session

        sessions = [
            Session(workflow=self._row, session_time=START + timedelta(minutes=self._minutes + step), created_at=START)
            for step in range(count)
        ]
        self._minutes += count
        Session.objects.bulk_create(sessions)
        now = datetime.now(UTC)
        rows = [
            Attempt(
                session=session,
                workflow_id=session.workflow_id,
                definition=self._definition,
                index=1,
                lane=Lane.MANUAL,
                created_at=now,
                released_at=now,
            )
            for session in sessions
        ]
        started = time.perf_counter()
        Attempt.objects.bulk_create(rows)
        if count > 1:  # the insert of thousands is not what is measured; that of one is
            started = time.perf_counter()
        dispatch.send(Lane.MANUAL, min(count, 8))
        last = rows[-1].pk
        while Attempt.objects.get(pk=last).status in ("queued", "running") or (
            count > 1 and Attempt.objects.filter(pk__gte=rows[0].pk, status__in=["queued", "running"]).exists()
        ):
            time.sleep(0.001 if count == 1 else 0.05)
        elapsed = time.perf_counter() - started
        wrong = Attempt.objects.filter(pk__gte=rows[0].pk).exclude(status=AttemptStatus.SUCCESS)
        if first := wrong.first():
            raise SystemExit(f"{wrong.count()} attempts did not succeed; one is {first.status}: {first.reason}")
        return elapsed


@contextmanager
def worker(pool: str, slots: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = ["-m", "celery", "-A", "scheduler", "worker", "--pool", pool, "-c", str(slots), "-l", "WARNING"]
    quiet = ["-Q", "scheduled,manual,backfill,celery", "--without-mingle", "--without-gossip", "--without-heartbeat"]
    process = subprocess.Popen([sys.executable, *command, *quiet], cwd=scratch.ROOT, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
