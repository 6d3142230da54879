"""Catch-up and overlap: which of the due slots start, which wait, which are skipped and why."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from scheduler import ticker
from scheduler.models import Attempt, AttemptStatus, Lane, Pool, Session, Skip

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def hours(rows):
    """Session times as hours after noon."""
    return [int((row - NOW) / HOUR) for row in rows]


def started():
    return hours(Session.objects.order_by("session_time").values_list("session_time", flat=True))


def skipped():
    rows = Skip.objects.order_by("session_time").values_list("session_time", "reason")
    return [(int((at - NOW) / HOUR), reason) for at, reason in rows]


def own(schedule):
    """(hour, status, waits) of the schedule's own attempts, oldest first."""
    rows = Attempt.objects.filter(workflow=schedule.workflow, name="").select_related("session").order_by("pk")
    return [(int((a.session.session_time - NOW) / HOUR), a.status, a.released_at is None) for a in rows]


# --- catch-up -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catch_up", "at", "starts", "skips"),
    [
        ("all", HOUR, [1], []),
        ("all", 3 * HOUR, [1, 2, 3], []),
        ("latest", HOUR, [1], []),
        ("latest", HOUR + 59 * MINUTE, [1], []),
        ("latest", 3 * HOUR, [3], [(1, "missed"), (2, "missed")]),
        ("latest", 3 * HOUR - timedelta(microseconds=1), [2], [(1, "missed")]),
        ("none", HOUR, [1], []),
        ("none", HOUR + MINUTE, [1], []),
        ("none", HOUR + MINUTE + timedelta(microseconds=1), [], [(1, "missed")]),
        ("none", 3 * HOUR, [3], [(1, "missed"), (2, "missed")]),
        ("none", 3 * HOUR + 2 * MINUTE, [], [(1, "missed"), (2, "missed"), (3, "missed")]),
    ],
)
def test_catch_up_chooses_among_late_slots(make_schedule, catch_up, at, starts, skips):
    schedule = make_schedule(catch_up=catch_up)

    ticked = ticker.tick(now=NOW + at)

    assert (started(), skipped()) == (starts, skips)
    assert (ticked.started, ticked.skipped) == (len(starts), len(skips))
    schedule.refresh_from_db()
    assert schedule.next_run_time > NOW + at


@pytest.mark.parametrize("catch_up", ["all", "latest", "none"])
def test_the_window_is_looked_at_first(make_schedule, catch_up):
    make_schedule(catch_up=catch_up, skip_delayed_by=5400)

    ticker.tick(now=NOW + 4 * HOUR)

    delayed = [(1, "delayed"), (2, "delayed")]
    assert skipped() == (delayed if catch_up == "all" else [*delayed, (3, "missed")])
    assert started() == ([3, 4] if catch_up == "all" else [4])


def test_late_sessions_run_in_the_lane_of_backfills_and_the_newest_in_its_own(schedule):
    ticker.tick(now=NOW + 3 * HOUR + 30 * MINUTE)

    attempts = Attempt.objects.order_by("session__session_time")
    assert [attempt.lane for attempt in attempts] == [Lane.BACKFILL, Lane.BACKFILL, Lane.SCHEDULED]
    assert all(attempt.released_at for attempt in attempts)


def test_a_session_that_a_slow_tick_left_behind_by_less_than_a_minute_stays_in_its_lane(make_schedule):
    make_schedule("10", kind="seconds_interval")

    ticker.tick(now=NOW + timedelta(seconds=90))

    lanes = list(Attempt.objects.order_by("session__session_time").values_list("lane", flat=True))
    assert lanes == [Lane.BACKFILL] * 2 + [Lane.SCHEDULED] * 7  # of 10, 20, then 30 to 90 seconds past noon


def test_a_schedule_without_catching_up_still_runs_what_a_slow_tick_left_behind(make_schedule):
    make_schedule("10", kind="seconds_interval", catch_up="none")

    ticker.tick(now=NOW + timedelta(seconds=90))

    assert Attempt.objects.count() == 7
    assert Skip.objects.filter(reason="missed").count() == 2


def test_a_long_past_is_skipped_a_thousand_slots_at_a_time(make_schedule):
    schedule = make_schedule("* * * * *", catch_up="latest")

    ticker.tick(now=NOW + 24 * HOUR, seconds=0)

    schedule.refresh_from_db()
    assert Skip.objects.filter(reason="missed").count() == 1_000
    assert schedule.next_run_time == NOW + 1_001 * MINUTE
    ticker.tick(now=NOW + 24 * HOUR, seconds=60)
    assert Skip.objects.count() == 24 * 60 - 1
    assert Session.objects.get().session_time == NOW + 24 * HOUR


# --- overlap, on time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [AttemptStatus.RUNNING, AttemptStatus.CANCELING, AttemptStatus.QUEUED])
@pytest.mark.parametrize(
    ("overlap", "starts", "skips", "waits"),
    [
        ("allow", [1], [], False),
        ("skip", [], [(1, "overtime")], None),
        ("queue_one", [1], [], True),
    ],
)
def test_a_slot_that_meets_a_live_attempt(make_schedule, make_attempt, status, overlap, starts, skips, waits):
    schedule = make_schedule(overlap=overlap)
    make_attempt(schedule, NOW, status=status)

    ticker.tick(now=NOW + HOUR)

    assert (started(), skipped()) == ([0, *starts], skips)
    assert own(schedule)[1:] == ([(1, "queued", waits)] if starts else [])
    assert own(schedule)[0] == (0, status, False)


@pytest.mark.parametrize("overlap", ["allow", "skip", "queue_one", "cancel_running"])
def test_a_slot_that_meets_none_starts_at_once(make_schedule, make_attempt, overlap):
    schedule = make_schedule(overlap=overlap)
    make_attempt(schedule, NOW, status=AttemptStatus.ERROR)

    ticker.tick(now=NOW + HOUR)

    assert own(schedule)[1:] == [(1, "queued", False)]
    assert skipped() == []


@pytest.mark.parametrize("overlap", ["queue_one", "cancel_running"])
def test_an_attempt_of_a_backfill_is_nobody_to_wait_for(make_schedule, make_attempt, overlap):
    schedule = make_schedule(overlap=overlap)
    named = make_attempt(schedule, NOW, name="mend", status=AttemptStatus.RUNNING)

    ticker.tick(now=NOW + HOUR)

    named.refresh_from_db()
    assert named.status == AttemptStatus.RUNNING
    assert own(schedule) == [(1, "queued", False)]


def test_an_attempt_of_a_backfill_does_skip_a_slot(make_schedule, make_attempt):
    schedule = make_schedule(overlap="skip")
    make_attempt(schedule, NOW, name="mend", status=AttemptStatus.RUNNING)

    ticker.tick(now=NOW + HOUR)

    assert skipped() == [(1, "overtime")]


def test_while_one_waits_the_next_is_skipped(make_schedule, make_attempt):
    schedule = make_schedule(overlap="queue_one")
    make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)

    ticker.tick(now=NOW + HOUR)
    ticker.tick(now=NOW + 2 * HOUR)

    assert own(schedule)[1:] == [(1, "queued", True)]
    assert skipped() == [(2, "overtime")]


def test_cancelling_asks_the_running_one_to_end_and_the_new_one_waits_for_that(make_schedule, make_attempt):
    schedule = make_schedule(overlap="cancel_running")
    make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)

    ticker.tick(now=NOW + HOUR)

    assert own(schedule) == [(0, "canceling", False), (1, "queued", True)]


def test_cancelling_kills_a_queued_one_and_the_new_one_starts_at_once(make_schedule, make_attempt):
    schedule = make_schedule(overlap="cancel_running")
    make_attempt(schedule, NOW, status=AttemptStatus.QUEUED)

    ticker.tick(now=NOW + HOUR)

    assert own(schedule) == [(0, "killed", False), (1, "queued", False)]


def test_cancelling_kills_the_one_that_waits_as_well(make_schedule, make_attempt):
    schedule = make_schedule(overlap="cancel_running")
    make_attempt(schedule, NOW, status=AttemptStatus.CANCELING)

    ticker.tick(now=NOW + HOUR)
    ticker.tick(now=NOW + 2 * HOUR)

    assert own(schedule) == [(0, "canceling", False), (1, "killed", True), (2, "queued", True)]


# --- overlap, several slots due at once ---------------------------------------------------------------------


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(
    ("overlap", "idle_end", "busy_end"),
    [
        ("allow", ([1, 2, 3], []), ([1, 2, 3], [])),
        ("skip", ([1], [2, 3]), ([], [1, 2, 3])),
        ("queue_one", ([1, 2], [3]), ([1], [2, 3])),
        ("cancel_running", ([3], [1, 2]), ([3], [1, 2])),
    ],
)
def test_several_slots_due_in_one_pass(make_schedule, make_attempt, overlap, idle_end, busy_end, busy):
    schedule = make_schedule(overlap=overlap)
    if busy:
        make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)

    ticker.tick(now=NOW + 3 * HOUR)

    starts, skips = busy_end if busy else idle_end
    assert started() == ([0] if busy else []) + starts
    assert skipped() == [(hour, "overtime") for hour in skips]
    waiting = [hour for hour, _, waits in own(schedule) if waits]
    assert waiting == {"queue_one": starts[:1] if busy else [2], "cancel_running": [3] if busy else []}.get(overlap, [])


@pytest.mark.parametrize("overlap", ["allow", "skip", "queue_one", "cancel_running"])
def test_the_latest_alone_meets_a_live_attempt(make_schedule, make_attempt, overlap):
    schedule = make_schedule(overlap=overlap, catch_up="latest")
    make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)

    ticker.tick(now=NOW + 3 * HOUR)

    missed = [(1, "missed"), (2, "missed")]
    assert skipped() == ([*missed, (3, "overtime")] if overlap == "skip" else missed)
    assert started() == ([0] if overlap == "skip" else [0, 3])


def test_with_a_pool_a_start_takes_a_slot_or_waits_for_one_the_newest_first(make_schedule):
    pool = Pool.objects.create(name="warehouse", slots=2)
    schedule = make_schedule(pool=pool)

    ticker.tick(now=NOW + 3 * HOUR)

    assert own(schedule) == [(1, "queued", False), (2, "queued", True), (3, "queued", False)]
    assert set(Attempt.objects.values_list("pool", flat=True)) == {pool.pk}


def test_with_a_pool_one_at_a_time_waits_for_its_turn_and_for_a_slot(make_schedule):
    pool = Pool.objects.create(name="warehouse", slots=2)
    schedule = make_schedule(pool=pool, overlap="queue_one")

    ticker.tick(now=NOW + HOUR)
    ticker.tick(now=NOW + 2 * HOUR)

    assert own(schedule) == [(1, "queued", False), (2, "queued", True)]


# --- sessions that are there already ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "there", "starts", "skips"),
    [
        ("skip", [1], [2], [3]),
        ("skip", [1, 2], [3], []),
        ("skip", [2], [1], [3]),
        ("queue_one", [1], [2, 3], []),
        ("queue_one", [2], [1, 3], []),
        ("cancel_running", [1], [3], [2]),
        ("cancel_running", [3], [2], [1]),
        ("cancel_running", [2, 3], [1], []),
        ("allow", [2], [1, 3], []),
    ],
)
def test_a_slot_that_was_run_before_crowds_out_no_other(make_schedule, make_attempt, overlap, there, starts, skips):
    schedule = make_schedule(overlap=overlap)
    for hour in there:
        make_attempt(schedule, NOW + hour * HOUR, name="by hand")

    ticked = ticker.tick(now=NOW + 3 * HOUR)

    assert [hour for hour, *_ in own(schedule)] == starts
    assert skipped() == [(hour, "overtime") for hour in skips]
    assert (ticked.started, ticked.skipped) == (len(starts), len(skips))


@pytest.mark.parametrize(
    ("policies", "skips"),
    [
        ({"skip_delayed_by": 60}, [(1, "delayed"), (3, "delayed")]),
        ({"catch_up": "latest"}, [(1, "missed"), (3, "missed")]),
        ({"catch_up": "none"}, [(1, "missed"), (3, "missed")]),
        ({"overlap": "skip"}, [(1, "overtime"), (3, "overtime"), (4, "overtime")]),
    ],
)
def test_a_slot_that_was_run_before_is_not_skipped_as_well(make_schedule, make_attempt, policies, skips):
    schedule = make_schedule(**policies)
    make_attempt(schedule, NOW - HOUR, status=AttemptStatus.RUNNING)
    make_attempt(schedule, NOW + 2 * HOUR, name="by hand")

    ticker.tick(now=NOW + 4 * HOUR)

    assert skipped() == skips
    schedule.refresh_from_db()
    assert schedule.last_session_time == NOW + (2 if schedule.overlap == "skip" else 4) * HOUR
    assert schedule.next_session_time == NOW + 5 * HOUR


def test_a_slot_that_was_run_before_is_the_one_executed_before_the_next(schedule, make_attempt):
    make_attempt(schedule, NOW + 2 * HOUR, name="by hand")

    ticker.tick(now=NOW + 3 * HOUR)

    rows = Attempt.objects.filter(name="").order_by("pk").values_list("last_executed_session_time", flat=True)
    assert list(rows) == [None, NOW + 2 * HOUR]


def test_many_slots_that_were_run_before_are_passed_over_a_bounded_number_at_a_time(
    make_schedule, make_attempt, monkeypatch
):
    monkeypatch.setattr(ticker, "MOST_THERE", 5)
    schedule = make_schedule("* * * * *")
    for minute in range(1, 13):
        make_attempt(schedule, NOW + minute * MINUTE, name="by hand")

    cursors = []
    for _ in range(3):
        ticker.tick(now=NOW + HOUR, seconds=0)
        schedule.refresh_from_db()
        cursors.append((schedule.next_session_time - NOW) // MINUTE)

    assert cursors == [6, 11, 33]
    assert Attempt.objects.filter(name="").count() == 20


def test_a_session_between_the_slots_is_in_nobodys_way(make_schedule, make_attempt, monkeypatch):
    monkeypatch.setattr(ticker, "MOST_THERE", 2)
    schedule = make_schedule(overlap="queue_one")
    for minute in (61, 62, 63):
        make_attempt(schedule, NOW + minute * MINUTE, name="by hand")

    ticker.tick(now=NOW + 2 * HOUR)

    assert [hour for hour, *_ in own(schedule)] == [1, 2]


# --- two tickers at once ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("overlap", ["allow", "skip", "queue_one", "cancel_running"])
def test_two_tickers_at_once_decide_as_one(make_schedule, make_attempt, overlap):
    schedules = [make_schedule(name=f"w{number}", overlap=overlap) for number in range(8)]
    for schedule in schedules:
        make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)
    barrier, ticks = threading.Barrier(2), []

    def body():
        try:
            for hour in (1, 2, 3):
                barrier.wait(10)
                ticks.append(ticker.tick(now=NOW + hour * HOUR))
        finally:
            connection.close()

    threads = [threading.Thread(target=body) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(ticks) == 6
    ends = {
        "allow": [(0, "running", False), *((hour, "queued", False) for hour in (1, 2, 3))],
        "skip": [(0, "running", False)],
        "queue_one": [(0, "running", False), (1, "queued", True)],
        "cancel_running": [(0, "canceling", False), (1, "killed", True), (2, "killed", True), (3, "queued", True)],
    }
    for schedule in schedules:
        assert own(schedule) == ends[overlap]
        assert Session.objects.filter(workflow=schedule.workflow).count() + schedule.skips.count() == 4
