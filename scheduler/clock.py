"""One clock: the database's. And the watch over it, as a clock that jumps would start days of sessions at once."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

LONGEST_STEP = timedelta(minutes=10)
AGREEING_LOOKS = 3


def database_now() -> datetime:
    """What the database's clock says, aware UTC. One statement; raises DatabaseError when it cannot be asked."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql()}", [])
        (answer,) = cursor.fetchone()
    moment: datetime = answer if isinstance(answer, datetime) else datetime.fromisoformat(f"{answer}Z")
    return moment.astimezone(UTC)


def sql(after: float = 0.0) -> str:
    """The database's clock, so many seconds later: for a statement that has parameters, as it may hold a `%%`."""
    if connection.vendor == "postgresql":
        return f"clock_timestamp() + interval '{float(after)} seconds'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '+{float(after)} seconds')"


def uptime() -> float:
    """Seconds since this machine was started, its sleep included: nobody sets this clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Hold:
    """Nothing is started. `since` is the last moment before the clock jumped, by that clock."""

    since: datetime
    reason: str


class Watch:
    """Compares the steps of the database's clock with those of the machine. `held` says whether to hold, and why.

    A step that differs by more than ten minutes begins a hold; three steps in a row that agree end it. The first look
    has nothing to compare with.
    """

    def __init__(self) -> None:
        self.held: Hold | None = None
        self._last: tuple[datetime, float] | None = None
        self._agreeing = 0

    def look(self, *, now: datetime, uptime: float) -> None:
        """`now` by the database's clock, `uptime` in seconds, read together."""
        last, self._last = self._last, (now, uptime)
        if last is None:
            return
        jump = (now - last[0]) - timedelta(seconds=uptime - last[1])
        if abs(jump) > LONGEST_STEP:
            self._agreeing = 0
            self.held = Hold(self.held.since if self.held else last[0], f"the database's clock jumped {_length(jump)}")
        elif self.held:
            self._agreeing += 1
            if self._agreeing >= AGREEING_LOOKS:
                self.held = None


def _length(jump: timedelta) -> str:
    """`by 2 days`, `back by 40 minutes`."""
    seconds = round(abs(jump).total_seconds())
    size, unit = next(
        (size, unit) for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")) if seconds >= size
    )
    count = round(seconds / size)
    return f"{'back ' if jump < timedelta(0) else ''}by {count} {unit}{'' if count == 1 else 's'}"
