"""What is wrong with the database, from the error it raised: full, busy or out of reach. Each heals by itself."""

import sqlite3
from dataclasses import dataclass

SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# A first connection makes the file that is shared by all; on a full disk it finds no room for that.
SQLITE_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
DISK_FULL = "53100"
BUSY = {"55P03", "57014", "40P01", "40001"}  # lock_timeout, statement_timeout, a deadlock, a lost race


@dataclass(frozen=True)
class Trouble:
    """`event` in the log, `text` for people, and after how many seconds it is worth another try."""

    event: str
    text: str
    retry_after: int


FULL = Trouble(
    "database_full",
    "The disk of the database is full. Nothing of this request was saved; all that was saved before is kept.",
    60,
)
LOCKED = Trouble(
    "database_busy",
    "The database is busy with others. Nothing of this request was saved; all that was saved before is kept.",
    5,
)
GONE = Trouble(
    "database_gone",
    "The database does not answer. What was saved before is kept; what you just sent may not be.",
    10,
)


def trouble_of(error: Exception) -> Trouble:
    """`error` is a DatabaseError of Django's; its cause, the driver's own, tells more."""
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", 0)
    state = getattr(cause, "sqlstate", None)
    if code in SQLITE_NO_ROOM or state == DISK_FULL:
        return FULL
    return LOCKED if code & 0xFF in SQLITE_BUSY or state in BUSY else GONE  # without SQLite's finer distinctions
