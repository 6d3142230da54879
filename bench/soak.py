"""A random soak: everything at once, broken all the time; then, at rest, everything that must hold is looked at.

    BENCH_BROKER_URL=redis://…|amqp://… python bench/soak.py [--minutes 10] [--seed N]

Two web processes (gunicorn), two beats and three workers (one with the prefork pool) on PostgreSQL
(BENCH_DATABASE_URL) and the named broker, with short leases, a database and queues of their own. A dozen schedules of
all policies run; backfills, kills, retries, skips, switches and deletions of projects come by HTTP. Every 1 to 4
seconds something is killed, ended, stopped, cut off or purged, as the seed says. Then all is left in peace, and must
come to rest with nothing broken. Exit status 1 and the names of what is broken, otherwise; the logs of the processes
and the rows of the database stay in a folder then.
"""

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import scratch

# As in the fault tests: what takes minutes in production takes seconds here.
SHORT = {
    "HINDCAST_FAULTS": "1",
    "HINDCAST_LEASE_SECONDS": "3",
    "HINDCAST_RENEW_SECONDS": "0.75",
    "HINDCAST_RESEND_SECONDS": "2",
    "HINDCAST_TEST_VISIBILITY_SECONDS": "5",
}
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REST_SECONDS = 240.0
LEFT_SECONDS = 90.0
TABLES = ("fault_moves", "scheduler_attempt", "scheduler_session", "scheduler_schedule", "scheduler_skip")
MORE_TABLES = ("scheduler_backfill", "scheduler_taskrun", "projects_project", "projects_workflow")

# Name (its number is its period in seconds), schedule, what its task does, and its pool.
Entry = tuple[str, dict[str, object], str, str]
STEADY: list[Entry] = [
    ("every_1_allow", {"seconds_interval>": 1, "overlap": "allow", "catch_up": "all"}, "true", ""),
    ("every_1_skip", {"seconds_interval>": 1, "overlap": "skip", "catch_up": "all"}, "sleep 2", ""),
    ("every_2_queue", {"seconds_interval>": 2, "overlap": "queue_one", "catch_up": "all"}, "sleep 1", ""),
    ("every_2_cancel", {"seconds_interval>": 2, "overlap": "cancel_running", "catch_up": "all"}, "sleep 3", ""),
    ("every_5_pooled", {"seconds_interval>": 5, "overlap": "allow", "catch_up": "all"}, "sleep 1", "narrow"),
    ("every_5_fail", {"seconds_interval>": 5, "overlap": "allow", "catch_up": "latest"}, "sleep 0.3; exit 3", ""),
    ("every_60_allow", {"cron>": "* * * * *", "overlap": "allow", "catch_up": "all"}, "sleep 0.5", ""),
    ("every_60_skip", {"cron>": "* * * * *", "overlap": "skip", "catch_up": "latest"}, "sleep 3", ""),
]
PASSING: list[Entry] = [
    ("every_1_latest", {"seconds_interval>": 1, "overlap": "allow", "catch_up": "latest"}, "sleep 0.1", ""),
    ("every_5_queue", {"seconds_interval>": 5, "overlap": "queue_one", "catch_up": "latest"}, "sleep 2", "narrow"),
    ("every_5_cancel", {"seconds_interval>": 5, "overlap": "cancel_running", "catch_up": "all"}, "sleep 2", "narrow"),
    ("every_60_queue", {"cron>": "* * * * *", "overlap": "queue_one", "catch_up": "all"}, "sleep 1", ""),
]
POISON = {"+bad": {"sh>": "kill -9 $PPID"}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    options = parser.parse_args()
    if not os.environ.get("BENCH_BROKER_URL"):
        parser.error("set BENCH_BROKER_URL to redis://… or amqp://…")
    print(f"seed {options.seed}", flush=True)
    for number in ENDING_SIGNALS:
        signal.signal(number, lambda *_: sys.exit(1))
    scratch.django_on_scratch(f"soak_{os.getpid()}")
    print(f"{scratch.machine()}; broker {urlsplit(os.environ['BROKER_URL']).scheme}", flush=True)
    return Soak(options.seed).run(60 * options.minutes)


class Soak:
    def __init__(self, seed: int) -> None:
        from soak_house import House
        from soak_load import Load

        from tests.faults.invariants import Ledger

        self.seed = seed
        self.random = Random(seed)
        self.folder = Path(tempfile.mkdtemp(prefix="hindcast-soak-"))
        self.work = self.folder / "work"
        self.ledger = Ledger(self.folder / "ledger")
        self.first_slots: dict[int, datetime] = {}
        self.environment = {
            **os.environ,
            **SHORT,
            "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
            "HINDCAST_WORK_DIR": str(self.work),
            "HINDCAST_TEST_QUEUES": f"soak-{os.getpid()}-",
            "LOG_LEVEL": "INFO",
        }
        self.house = House(self.folder, self.environment, self.random)
        ring_in(self.environment)
        key, password = prepare()
        self.load = Load(self.house.addresses, key, password, seed, self.renew)
        self.publish("steady", STEADY, {"poison": POISON})
        self.publish("passing", PASSING)
        start_once("poison")

    def run(self, seconds: float) -> int:
        with self.all_ended():
            self.house.start()
            self.load.start()
            self.break_things(seconds)
            print("chaos is over", flush=True)
            self.load.stop()
            self.house.settle()
            broken = self.come_to_rest() | self.look()
        return self.tell(broken)

    @contextmanager
    def all_ended(self) -> Iterator[None]:
        """Whatever happens, nothing that was started is left: no process, no thread, no queue."""
        from soak_house import queues

        try:
            yield
        finally:
            for number in ENDING_SIGNALS:  # it ends already
                signal.signal(number, signal.SIG_IGN)
            self.load.stop(wait=False)
            self.house.end()
            self.load.stop()
            for queue in queues(self.environment):
                queue.delete()
                queue.exchange(queue.channel).delete()

    def break_things(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pause = self.random.uniform(1, 4)
            self.house.wait_until(lambda: False, pause)
            self.house.break_something()

    # --- projects -----------------------------------------------------------------------------------------

    def renew(self) -> None:
        """A new revision of either project; one that was deleted comes back."""
        if self.random.random() < 0.5:
            again(lambda: self.publish("steady", STEADY, {"poison": POISON}))
        again(lambda: self.publish("passing", PASSING))

    def publish(self, project: str, entries: list[Entry], more: dict[str, Any] | None = None) -> None:
        from projects.revisions import publish
        from scheduler import schedules
        from scheduler.models import Schedule

        now = datetime.now(UTC)
        documents = {name: self.document(schedule, task) for name, schedule, task, _ in entries}
        revision = publish(
            project_name=project, revision_name=secrets.token_hex(8), documents={**documents, **(more or {})}, now=now
        )
        for schedule in schedules.adopt(revision, now=now):
            first = schedule.timetable.first(now)
            assert first
            self.first_slots.setdefault(schedule.pk, first.session_time)
        for name, _, _, pool in entries:
            mine = Schedule.objects.filter(workflow__project=revision.project_id, workflow__name=name)
            mine.filter(pool=None).update(pool=pool_of(pool))

    def document(self, schedule: dict[str, object], task: str) -> dict[str, object]:
        return {"schedule": schedule, "+say": {"echo>": "${session_time}"}, **self.ledger.task(task)}

    # --- the end ------------------------------------------------------------------------------------------

    def come_to_rest(self) -> dict[str, list[object]]:
        """No more sessions; what waits or runs comes to its end. Returns what does not."""
        from django.db import connection
        from soak_house import queues

        from scheduler.models import Attempt

        connection.close()
        self.house.wait_until(self.all_disabled, REST_SECONDS)
        if not self.house.wait_until(lambda: not Attempt.objects.live().exists(), REST_SECONDS):
            live = Attempt.objects.live().values_list("pk", "status", "released_at", "lane", "backfill", "pool")
            return {f"not at rest after {REST_SECONDS:g} s": list(live)}
        self.house.wait_until(lambda: False, 3)
        waiting = [f"{queue.name}: {count}" for queue in queues(self.environment) if (count := held(queue))]
        return {"doorbells left": waiting} if waiting else {}

    def all_disabled(self) -> bool:
        client = self.load.client("end")
        schedules = client.read("/api/schedules").get("schedules", [])
        enabled = [entry["id"] for entry in schedules if not entry["disabledAt"]]
        for pk in enabled:
            client.ask("disable", "POST", f"/api/schedules/{pk}/disable")
        return bool(schedules) and not enabled

    def look(self) -> dict[str, list[object]]:
        import soak_verdict

        ends = sum(count for what, count in self.house.broken.items() if "worker" in what)
        broken = self.findings(ends)
        # Processes end; what a killed worker took from Redis is given to another, ten messages at a time.
        end = time.monotonic() + LEFT_SECONDS
        while any(name.startswith("I9") for name in broken) and time.monotonic() < end:
            self.house.wait_until(lambda: False, 2)
            broken = self.findings(ends)
        print("log", shown(soak_verdict.events(self.folder)))
        return broken

    def findings(self, ends_of_workers: int) -> dict[str, list[object]]:
        import soak_verdict
        from soak_house import SLOTS

        found = soak_verdict.found(
            ledger=self.ledger,
            work=self.work,
            first_slots=self.first_slots,
            record=self.load.record,
            logs=self.folder,
            workspaces_left=SLOTS * ends_of_workers,
        )
        return found | ({"processes": list(self.house.findings)} if self.house.findings else {})

    def tell(self, broken: dict[str, list[object]]) -> int:
        """Print the counts and the verdict; returns the exit status."""
        from django.db.models import Count

        from scheduler.models import Attempt, Session, Skip

        states = dict(Attempt.objects.values_list("status").annotate(Count("pk")))
        deliveries = Attempt.objects.filter(deliveries__gt=1).count()
        print(f"{Session.objects.count()} sessions, {Skip.objects.count()} skips")
        print("attempts", shown(Counter(states)), f"({deliveries} delivered again)")
        print("broken on purpose", shown(self.house.broken))
        print("requests", shown(self.load.record.statuses))
        if not broken:
            shutil.rmtree(self.folder, ignore_errors=True)
            print(f"seed {self.seed}: nothing broken")
            return 0
        self.keep_rows()
        for name, rows in broken.items():
            print(f"BROKEN {name}: {len(rows)}", *(f"  {str(row)[:400]}" for row in rows[:10]), sep="\n")
        print(f"seed {self.seed}: {len(broken)} broken; logs and rows are in {self.folder}")
        return 1

    def keep_rows(self) -> None:
        import psycopg

        with psycopg.connect(os.environ["DATABASE_URL"]) as database:
            for table in (*TABLES, *MORE_TABLES):
                with database.cursor().copy(f"COPY {table} TO STDOUT (FORMAT csv, HEADER)") as rows:
                    (self.folder / f"{table}.csv").write_bytes(b"".join(bytes(row) for row in rows))


def ring_in(environment: dict[str, str]) -> None:
    """What this process itself starts rings in the queues of the soak."""
    from scheduler.celery import app
    from tests.own_queues import own_queues

    app.conf.task_queues = own_queues(environment)


def prepare() -> tuple[str, str]:
    """The recorder of moves, static files, and a user. Returns his API key and his password."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from projects import apikeys
    from tests.faults.invariants import RECORD_MOVES

    with connection.cursor() as cursor:
        cursor.execute(RECORD_MOVES)
    call_command("collectstatic", interactive=False, verbosity=0)
    password = secrets.token_urlsafe()
    user = User.objects.create_superuser("soak", password=password)
    return apikeys.issue(user=user, name="soak", now=datetime.now(UTC))[1], password


def pool_of(name: str) -> Any:
    from scheduler.models import Pool

    return Pool.objects.get_or_create(name=name, defaults={"slots": 2})[0] if name else None


def start_once(workflow: str) -> None:
    """So that it can be found in the list of attempts."""
    from projects.models import WorkflowDefinition
    from scheduler.starting import start

    definition = WorkflowDefinition.objects.get(workflow__name=workflow)
    now = datetime.now(UTC)
    start(definition_id=definition.pk, session_time=now, now=now)


def again(action: Callable[[], None]) -> None:
    """Repeat it while its connection is cut."""
    from django.db import InterfaceError, OperationalError, connection

    for _ in range(20):
        try:
            return action()
        except (InterfaceError, OperationalError):
            connection.close()
            time.sleep(0.2)
    raise SystemExit("the database does not come back")


def held(queue: Any) -> int:
    """How many messages the queue holds."""
    return int(queue.queue_declare().message_count)


def shown(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
