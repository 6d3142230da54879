"""Cutting a moment to the session that it belongs to, where the clocks change."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from projects.models import WorkflowDefinition
from scheduler.timetable import Kind, Timetable
from scheduler.truncation import truncated


@pytest.mark.parametrize(
    ("timezone", "text"),
    [
        ("America/Havana", "2019-11-03T15:00:00"),  # 00:00 to 01:00 occurs twice
        ("America/Havana", "2019-11-03T05:00:00"),
        ("America/Havana", "2019-11-04T12:00:00"),
        ("America/Sao_Paulo", "2018-11-04T12:00:00"),  # there is no 00:00 to 01:00
        ("America/New_York", "2026-11-01T12:00:00"),  # 01:00 to 02:00 occurs twice
    ],
)
def test_a_moment_cut_to_the_day_is_the_daily_session(
    make_definition: Callable[..., WorkflowDefinition], timezone: str, text: str
) -> None:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    daily = Timetable(kind=Kind.DAILY, expression="00:00:00", timezone=timezone)
    slot = daily.previous(moment + timedelta(seconds=1))
    assert slot

    day = truncated(make_definition(timezone=timezone), moment, "day")

    assert day.astimezone(UTC) == slot.session_time


def test_before_midnight_comes_again_a_moment_is_of_the_first(
    make_definition: Callable[..., WorkflowDefinition],
) -> None:
    moment = datetime(2019, 11, 3, 4, 30, tzinfo=UTC)

    day = truncated(make_definition(timezone="America/Havana"), moment, "day")

    assert day.astimezone(UTC) == datetime(2019, 11, 3, 4, 0, tzinfo=UTC)
