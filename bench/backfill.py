"""Backfills of 100, 1,000 and 10,000 slots through the whole door: POST answered, all rows committed.

    python bench/backfill.py [--rounds 5]

Prints medians and the number of SQL statements. In process through Django's test client, on PostgreSQL.
"""

import argparse

from scratch import django_on_scratch, machine, median_seconds, table

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

    from datetime import UTC, datetime, timedelta

    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from projects import apikeys, revisions
    from scheduler import schedules

    now = datetime.now(UTC)
    document = {"schedule": {"cron>": "*/5 * * * *"}, "timezone": "America/Los_Angeles", "+a": {"echo>": "x"}}
    user = User.objects.create_superuser("bench")
    _, key = apikeys.issue(user=user, name="bench", now=now)
    client = Client(headers={"authorization": f"TD1 {key}"})

    def schedule_id(label: str) -> int:
        revision = revisions.publish(project_name=label, revision_name="r1", documents={"w": document}, now=now)
        return schedules.adopt(revision, now=now)[0].pk

    def post(schedule: int, slots: int, dry_run: bool, name: str) -> None:
        body = {
            "attemptName": name,
            "fromTime": (now - timedelta(days=60)).isoformat(),
            "count": slots,
            "dryRun": dry_run,
        }
        answer = client.post(f"/api/schedules/{schedule}/backfill", body, content_type="application/json")
        assert answer.status_code == 200, answer.content[:300]
        assert len(answer.json()["attempts"]) == slots

    def timed(slots: int, dry_run: bool) -> tuple[float, int]:
        ids = [schedule_id(f"p-{slots}-{dry_run}-{number}") for number in range(options.rounds)]
        spent = median_seconds(lambda number: post(ids[number], slots, dry_run, "timed"), options.rounds)
        extra = schedule_id(f"p-{slots}-{dry_run}-counted")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            post(extra, slots, dry_run, "counted")
        return spent, len(queries)

    post(schedule_id("warm-up"), 10, False, "warm-up")
    rows = []
    for (slots, dry_run), (goal, floor) in FIGURES.items():
        spent, statements = timed(slots, dry_run)
        what = "dry run" if dry_run else "backfill"
        rows.append((f"{what} of {slots:,} slots ({statements} statements)", f"{spent:.3f} s", goal, floor))
    print(machine())
    print(table(rows))


if __name__ == "__main__":
    main()
