"""Timetables in words."""

import pytest

from scheduler.timetable import Kind, Timetable
from scheduler.web.schedule_words import in_words


@pytest.mark.parametrize(
    ("kind", "expression", "words"),
    [
        (Kind.CRON, "0 3 * * 1-5", "At 03:00, Monday through Friday (0 3 * * 1-5), Asia/Tokyo"),
        (Kind.CRON, "0 0 13 * 5", "At 00:00, on day 13 of the month, only on Friday (0 0 13 * 5), Asia/Tokyo"),
        (Kind.CRON, f"0 0 {','.join(map(str, range(1, 31)))} * *", "cron 0 0 1,2,3,"),
        (Kind.DAILY, "07:00:00", "daily at 07:00 Asia/Tokyo"),
        (Kind.MINUTES, "5", "every 5 minutes"),
        (Kind.SECONDS, "1", "every second"),
        (Kind.SECONDS, "90", "every 90 seconds"),
        (Kind.SECONDS, "5400", "every 90 minutes"),
        (Kind.SECONDS, "21600", "every 6 hours"),
        (Kind.SECONDS, "86400", "every day"),
    ],
)
def test_a_timetable_is_said_in_words(kind: Kind, expression: str, words: str) -> None:
    assert in_words(Timetable(kind=kind, expression=expression, timezone="Asia/Tokyo")).startswith(words)
