"""VERB: spend a limit, one use at a time; and give back what was spent.

A use is counted by one statement, which the database decides: of any number that come at once, by whatever process,
exactly as many pass as the limit has. Without a database nobody passes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from math import ceil

from django.db import connection

from projects.models import Allowance


@dataclass(frozen=True)
class Limit:
    """At most `most` uses by one caller in `seconds`, counted from the first of them."""

    name: str
    most: int
    seconds: int

    def of(self, who: str) -> str:
        """The name of the row, of a fixed length whatever a stranger calls himself."""
        return sha256(f"{self.name}\0{who}".encode("utf-8", "surrogatepass")).hexdigest()


def spend(limit: Limit, who: str, *, now: datetime) -> int:
    """Count one use by `who`. Returns 0; or, when it is one too many, the seconds to wait, and nothing is counted."""
    name, ends_at = limit.of(who), now + timedelta(seconds=limit.seconds)
    used = _counted(name, limit.most, now, ends_at)
    if used is None:
        return _seconds_left(name, now)
    if used == 1:
        Allowance.objects.filter(ends_at__lt=now).delete()  # of others, who did not come back
    return 0


def restore(limit: Limit, who: str) -> None:
    """Forget what `who` used: it was no misuse."""
    Allowance.objects.filter(name=limit.of(who)).delete()


def _counted(name: str, most: int, now: datetime, ends_at: datetime) -> int | None:
    """How much is used up now, this use included; None for one too many."""
    table = connection.ops.quote_name(Allowance._meta.db_table)
    moment, end = (connection.ops.adapt_datetimefield_value(value) for value in (now, ends_at))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {table} (name, used, ends_at) VALUES (%s, 1, %s)
            ON CONFLICT (name) DO UPDATE
               SET used = CASE WHEN {table}.ends_at <= %s THEN 1 ELSE {table}.used + 1 END,
                   ends_at = CASE WHEN {table}.ends_at <= %s THEN excluded.ends_at ELSE {table}.ends_at END
             WHERE {table}.ends_at <= %s OR {table}.used < %s
            RETURNING used
            """,  # noqa: S608 - built from the name of the table alone
            [name, end, moment, moment, moment, most],
        )
        row = cursor.fetchone()
        return row[0] if row else None


def _seconds_left(name: str, now: datetime) -> int:
    ends_at = Allowance.objects.filter(name=name).values_list("ends_at", flat=True).first()
    return max(1, ceil((ends_at - now).total_seconds())) if ends_at else 1
