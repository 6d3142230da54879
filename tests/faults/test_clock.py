"""Clocks that jump: F9 back, F10 forward, F11 a real beat across changes of local time.

The database's clock is replaced where it is asked: a function of the same name comes first in the search path of every
connection that is made from then on. The test's own connection keeps the real one.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from scheduler.models import Attempt, Backfill, Heartbeat, Schedule, Session, Skip
from tests.faults.conftest import PATIENCE
from tests.faults.invariants import Ledger
from tests.faults.test_broker import purge
from tests.faults.test_web import answers, post

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres, pytest.mark.long]

Start = Callable[..., Any]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STEP = timedelta(minutes=9.5)  # below what holds the beat

CLOCK = """
    CREATE TABLE public.fault_clock (ahead interval, looks int);
    INSERT INTO public.fault_clock VALUES (interval '0', NULL);
    CREATE SEQUENCE public.fault_looks;
    CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$
    DECLARE clock public.fault_clock; BEGIN
        SELECT * INTO clock FROM public.fault_clock;
        IF clock.looks IS NOT NULL AND (
            current_query() NOT LIKE 'SELECT clock_timestamp() %' OR nextval('public.fault_looks') > clock.looks
        ) THEN
            RETURN pg_catalog.clock_timestamp();
        END IF;
        RETURN pg_catalog.clock_timestamp() + clock.ahead;
    END $$;
    CREATE FUNCTION public.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS $$
        SELECT pg_catalog.statement_timestamp() + CASE WHEN looks IS NULL THEN ahead ELSE interval '0' END
          FROM public.fault_clock
    $$;
"""
NO_CLOCK = """
    DROP FUNCTION IF EXISTS public.clock_timestamp;
    DROP FUNCTION IF EXISTS public.statement_timestamp;
    DROP SEQUENCE IF EXISTS public.fault_looks;
    DROP TABLE IF EXISTS public.fault_clock;
"""


class DatabaseClock:
    """What the beats and workers that start from now on are told."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def jump(self, ahead: timedelta, *, looks: int | None = None) -> None:
        """So far from the real time; only for the next `looks` ticks, if told."""
        self.ahead = ahead
        with connection.cursor() as cursor:
            cursor.execute("UPDATE public.fault_clock SET ahead = %s, looks = %s", [ahead, looks])

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def database_clock(transactional_db: None) -> Iterator[DatabaseClock]:
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(NO_CLOCK + CLOCK + f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    yield DatabaseClock()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} RESET search_path;" + NO_CLOCK)


@pytest.fixture
def heard(wait_until: Start) -> Start:
    """heard(process, "event", 2): waits until its log holds the event that often."""
    return lambda process, event, times=1: wait_until(
        lambda: process.output.read_text().count(f'"{event}"') >= times, PATIENCE
    )


def test_a_clock_set_back_repeats_no_session_and_keeps_no_attempt_from_running_again(
    database_clock: DatabaseClock,
    worker: Start,
    beat: Start,
    every_slot: Start,
    queue: Start,
    ledger: Ledger,
    heard: Start,
    at_rest: Start,
    wait_until: Start,
    nothing_broken: Start,
) -> None:
    every_slot("1", kind="seconds_interval", at=datetime.now(UTC))
    dying, living = worker(), beat()
    first_alone = 'case "$PWD" in *.1) sleep 600 ;; esac'
    (attempt,) = queue(ledger.task(first_alone))
    wait_until(lambda: ledger.begins(attempt.pk) == 1 and Session.objects.count() > 3, PATIENCE)

    dying.kill()
    database_clock.jump(-HOUR)
    heard(living, "tick_goes_on")
    there = Session.objects.count()
    worker()

    at_rest()
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries, ledger.begins(attempt.pk)) == ("success", 2, 2)
    assert Session.objects.count() == there  # the cursor waits for the hour to pass again
    living.stop()
    nothing_broken()


def test_an_attempt_that_waited_for_its_next_worker_when_the_clock_was_set_back_does_not_wait_an_hour(
    database_clock: DatabaseClock,
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Ledger,
    at_rest: Start,
    wait_until: Start,
    nothing_broken: Start,
) -> None:
    dying = worker()
    beat()
    first_alone = 'case "$PWD" in *.1) sleep 600 ;; esac'
    (attempt,) = queue(ledger.task(first_alone))
    wait_until(lambda: ledger.begins(attempt.pk) == 1, PATIENCE)
    dying.kill()
    wait_until(lambda: Attempt.objects.filter(pk=attempt.pk, status="queued").exists(), PATIENCE)

    database_clock.jump(-HOUR)
    worker()

    at_rest()
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries) == ("success", 2)
    nothing_broken()


@pytest.mark.parametrize("ahead", [DAY, -DAY])
def test_the_clocks_of_web_and_worker_change_nothing(
    web: Start,
    worker: Start,
    beat: Start,
    make_schedule: Start,
    ledger: Ledger,
    api_key: str,
    at_rest: Start,
    wait_until: Start,
    nothing_broken: Start,
    ahead: timedelta,
) -> None:
    wrong = {"HINDCAST_TEST_CLOCK_AHEAD": str(ahead.total_seconds())}
    schedule = make_schedule("0 * * * *", document=ledger.task(), at=datetime.now(UTC))
    first = (schedule.next_session_time - 5 * HOUR).isoformat()
    address = web(**wrong).address
    wait_until(lambda: answers(address), PATIENCE)

    asked = {"attemptName": "again", "fromTime": first, "dryRun": False}
    assert post(f"{address}/api/schedules/{schedule.pk}/backfill", asked, api_key)["attempts"]
    purge()
    worker(**wrong)
    beat()

    at_rest()
    done = Attempt.objects.filter(backfill=Backfill.objects.get())
    assert set(done.values_list("status", "deliveries")) == {("success", 1)}
    assert [ledger.begins(attempt.pk) for attempt in done] == [1] * 5
    nothing_broken()


def test_a_clock_that_jumps_for_one_tick_starts_nothing_of_the_future(
    database_clock: DatabaseClock,
    beat: Start,
    every_slot: Start,
    heard: Start,
    wait_until: Start,
    nothing_broken: Start,
) -> None:
    every_slot("1", kind="minutes_interval", name="minutely", at=datetime.now(UTC))
    pulse = every_slot("1", kind="seconds_interval", name="pulse", at=datetime.now(UTC))
    living = beat()
    wait_until(lambda: Session.objects.filter(workflow=pulse.workflow).count() > 2, PATIENCE)

    database_clock.jump(2 * DAY, looks=1)

    heard(living, "tick_held")
    heard(living, "tick_goes_on")
    there = Session.objects.filter(workflow=pulse.workflow).count()
    wait_until(lambda: Session.objects.filter(workflow=pulse.workflow).count() > there + 3, PATIENCE)
    living.stop()
    assert not Session.objects.filter(session_time__gt=datetime.now(UTC)).exists()
    nothing_broken()


def test_a_clock_that_stays_two_days_ahead_is_caught_up_after_the_hold_and_not_again_when_it_is_set_back(
    database_clock: DatabaseClock,
    beat: Start,
    every_slot: Start,
    heard: Start,
    wait_until: Start,
    nothing_broken: Start,
) -> None:
    hourly = every_slot("0 * * * *", at=datetime.now(UTC))
    living = beat()
    wait_until(lambda: Heartbeat.objects.filter(kind=Heartbeat.Kind.BEAT).exists(), PATIENCE)  # it has looked

    database_clock.jump(2 * DAY)

    heard(living, "tick_held")
    wait_until(lambda: not Schedule.objects.due(database_clock.now()).exists(), PATIENCE)
    caught_up = Session.objects.filter(workflow=hourly.workflow).count()
    assert caught_up in (48, 49)  # 49 when the hour turns meanwhile
    database_clock.jump(timedelta())
    heard(living, "tick_goes_on", 2)
    living.stop()
    assert Session.objects.count() == caught_up
    nothing_broken()


CHANGES = [
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC), "30 2"),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC), "30 1"),
    ("Europe/London", datetime(2026, 3, 29, 1, tzinfo=UTC), "30 1"),
    ("Europe/London", datetime(2026, 10, 25, 1, tzinfo=UTC), "30 1"),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC), "15 0"),  # midnight is missing
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC), "15 23"),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC), "15 2"),  # by half an hour
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC), "45 1"),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC), "30 0"),  # a day is missing
    ("Asia/Kolkata", datetime(2026, 3, 8, 7, tzinfo=UTC), "30 12"),  # nothing changes, at an odd offset
]


@pytest.mark.parametrize(("zone", "change", "daily"), CHANGES, ids=[f"{z}-{at:%Y-%m}" for z, at, _ in CHANGES])
def test_a_beat_across_a_change_of_local_time_starts_what_the_rule_says(
    database_clock: DatabaseClock,
    beat: Start,
    every_slot: Start,
    wait_until: Start,
    nothing_broken: Start,
    zone: str,
    change: datetime,
    daily: str,
) -> None:
    start, end = change - timedelta(minutes=75), change + timedelta(minutes=75)
    database_clock.jump(start - datetime.now(UTC))
    fixed = every_slot(f"{daily} * * *", name="fixed", timezone=zone, at=start)
    often = every_slot("*/15 * * * *", name="often", timezone=zone, at=start)
    pulse = every_slot("* * * * *", name="pulse", at=start)
    beat()

    while (now := database_clock.now()) < end:
        wait_until(lambda: Schedule.objects.get(pk=pulse.pk).next_run_time > now - timedelta(seconds=1), PATIENCE)
        database_clock.jump(database_clock.ahead + STEP)
    wait_until(lambda: Schedule.objects.get(pk=pulse.pk).next_run_time > end, PATIENCE)

    minute, hour = (int(part) for part in daily.split())
    assert started(often, end) == [at for at in minutes(start, end) if at.astimezone(ZoneInfo(zone)).minute % 15 == 0]
    assert started(fixed, end) == [at for at in dailies(zone, change, hour, minute) if start < at <= end]
    assert started(pulse, end) == list(minutes(start, end))
    assert not Skip.objects.exists()
    nothing_broken()


def started(schedule: Schedule, end: datetime) -> list[datetime]:
    there = Session.objects.filter(workflow=schedule.workflow, session_time__lte=end).order_by("session_time")
    return list(there.values_list("session_time", flat=True))


def minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    """Every whole minute after `start`, up to `end`."""
    at = start.replace(second=0, microsecond=0)
    while (at := at + timedelta(minutes=1)) <= end:
        yield at


def dailies(zone: str, change: datetime, hour: int, minute: int) -> list[datetime]:
    """One instant for each local date about the change: the later of two, or as much later as the clocks jump."""
    found = set()
    for days in range(-2, 3):
        wall = (change.astimezone(ZoneInfo(zone)) + days * DAY).replace(hour=hour, minute=minute, fold=1)
        second = wall.astimezone(UTC)
        exists = second.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall.replace(tzinfo=None)
        found.add(second if exists else wall.replace(fold=0).astimezone(UTC))
    return sorted(found)
