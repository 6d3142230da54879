"""One scrape of /metrics and one answer of /healthz, at 1,000,000 attempts on PostgreSQL, of which 10,000 wait.

    python bench/metrics.py [--size 1000000] [--rounds 5] [--explain]

The attempts ended evenly over two weeks, and 6,000 more in the last five minutes.
"""

import argparse

from lists import fill, prepare
from scratch import django_on_scratch, machine, median_seconds, table

SPREAD = """
UPDATE scheduler_attempt
   SET finished_at = t, started_at = t - interval '1 second', released_at = t - interval '2 second'
  FROM (SELECT id AS pk, now() - interval '14 days' * (1 - id::float / %(size)s) AS t FROM scheduler_attempt) x
 WHERE pk = id
"""
LATELY = """
UPDATE scheduler_attempt SET finished_at = now() - random() * interval '4 minutes' WHERE id %% (%(size)s / 6000) = 0
"""
WAITING = """
UPDATE scheduler_attempt
   SET status = 'queued', finished_at = NULL, started_at = NULL, lane = 'backfill',
       released_at = CASE WHEN id %% 2 = 0 THEN now() END
 WHERE is_latest AND id IN (SELECT id FROM scheduler_attempt ORDER BY id DESC LIMIT 10000)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--explain", action="store_true", help="print the plans")
    options = parser.parse_args()
    django_on_scratch("metrics")
    _, workflows = prepare()
    fill(options.size, workflows)
    age(options.size)
    seconds = median_seconds(lambda _: scrape(), options.rounds)
    if options.explain:
        explain()
    print(machine())
    print(table([(f"scrape at {options.size:,} attempts", f"{seconds * 1000:.1f} ms", "", "50 ms")]))


def age(size: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in (SPREAD, LATELY, WAITING):
            cursor.execute(statement, {"size": size})
        cursor.execute("VACUUM (ANALYZE) scheduler_attempt")


def scrape() -> None:
    from datetime import UTC, datetime

    from prometheus_client import CollectorRegistry, generate_latest

    from scheduler.observe.metrics import Figures

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(now=datetime.now(UTC)))
    generate_latest(registry)


def explain() -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        scrape()
    with connection.cursor() as cursor:
        for query in list(queries):
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {query['sql']}")
            print("\n".join(line for (line,) in cursor.fetchall()), end="\n\n")


if __name__ == "__main__":
    main()
