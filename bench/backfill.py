"""Backfills of 100, 1,000 and 10,000 slots: POST answered by gunicorn over loopback, all rows committed.

    python bench/backfill.py [--rounds 5] [--sqlite]

Prints medians, and the number of SQL statements of the verb. PostgreSQL unless told.
"""

import argparse

from scratch import django_on_scratch, machine, median_seconds, served, table

FIGURES = {
    (100, True): ("", ""),
    (1_000, True): ("", ""),
    (10_000, True): ("0.3 s", "1.5 s"),
    (100, False): ("", ""),
    (1_000, False): ("0.1 s", "0.4 s"),
    (10_000, False): ("0.6 s", "2 s"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sqlite", action="store_true", help="the embedded default instead of PostgreSQL")
    options = parser.parse_args()
    django_on_scratch("backfill", database="" if options.sqlite else None)
    with served() as address:
        print(report(address, options.rounds))


def report(address: str, rounds: int) -> str:
    from datetime import UTC, datetime, timedelta

    import requests
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from projects import apikeys, revisions
    from scheduler import schedules
    from scheduler.backfill import backfill

    now = datetime.now(UTC)
    document = {"schedule": {"cron>": "*/5 * * * *"}, "timezone": "America/Los_Angeles", "+a": {"echo>": "x"}}
    user = User.objects.create_superuser("bench")
    client = requests.Session()
    client.headers["Authorization"] = f"TD1 {apikeys.issue(user=user, name='bench', now=now)[1]}"
    from_time = now - timedelta(days=60)

    def schedule_id(label: str) -> int:
        revision = revisions.publish(project_name=label, revision_name="r1", documents={"w": document}, now=now)
        return schedules.adopt(revision, now=now)[0].pk

    def post(schedule: int, slots: int, dry_run: bool) -> None:
        body = {"attemptName": "bench", "fromTime": from_time.isoformat(), "count": slots, "dryRun": dry_run}
        answer = client.post(f"{address}/api/schedules/{schedule}/backfill", json=body, timeout=60)
        assert answer.status_code == 200, answer.text[:300]
        assert answer.content.count(b'"sessionUuid"') == slots

    def timed(slots: int, dry_run: bool) -> float:
        ids = [schedule_id(f"p-{slots}-{dry_run}-{number}") for number in range(rounds)]
        return median_seconds(lambda number: post(ids[number], slots, dry_run), rounds)

    def statements(slots: int, dry_run: bool) -> int:
        schedule = schedule_id(f"p-{slots}-{dry_run}-counted")
        with CaptureQueriesContext(connection) as queries:
            backfill(schedule_id=schedule, attempt_name="b", from_time=from_time, count=slots, dry_run=dry_run, now=now)
        return len(queries)

    post(schedule_id("warm-up"), 10, False)
    rows = []
    for (slots, dry_run), (goal, floor) in FIGURES.items():
        what = f"{'dry run' if dry_run else 'backfill'} of {slots:,} slots"
        what += f" ({statements(slots, dry_run)} statements)"
        rows.append((what, f"{timed(slots, dry_run):.3f} s", goal, floor))
    return f"{machine()}\n{table(rows)}"


if __name__ == "__main__":
    main()
