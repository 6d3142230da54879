"""VERBS: a task that one process does at a time. Time is the database's alone."""

from django.db import connection

from scheduler import clock
from scheduler.models import Leadership


def take(name: str, *, owner: str, seconds: float) -> bool:
    """Take or prolong `name` for `seconds` from now. False: somebody else has it.

    One conditional statement, so that of many who ask at once one gets it. A time that ends too far ahead was written
    before the clock was set back, and does not count.
    """
    now, end, far = (clock.sql(after) for after in (0.0, seconds, 2 * seconds))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO scheduler_leadership (name, owner, until) VALUES (%s, %s, {end})
            ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
             WHERE scheduler_leadership.owner = excluded.owner
                OR scheduler_leadership.until < {now} OR scheduler_leadership.until > {far}
            RETURNING owner
            """,  # noqa: S608 - built from this module's own pieces
            [name, owner[:255]],
        )
        return bool(cursor.fetchall())


def let_go(name: str, *, owner: str) -> None:
    """Somebody else may have it at once."""
    Leadership.objects.filter(name=name, owner=owner[:255]).delete()
