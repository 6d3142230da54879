"""The arrows of an attempt's state machine, one by one, and the races for them."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from scheduler import attempts, dispatch
from scheduler.attempts import Claim
from scheduler.models import Attempt, AttemptStatus, Lane

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LANES = list(Lane)
LIVE_AND_DONE = list(AttemptStatus)


@pytest.fixture
def queued(schedule, make_attempt):
    """A released attempt of the scheduled lane."""
    return make_attempt(schedule, status=AttemptStatus.QUEUED)


def claim(*lanes):
    return attempts.claim(lanes=lanes or LANES, worker="test", now=NOW)


def status(attempt_id):
    return Attempt.objects.values_list("status", flat=True).get(pk=attempt_id)


def expire(held):
    long_ago = datetime.now(UTC) - HOUR
    Attempt.objects.filter(pk=held.attempt_id).update(lease_expires_at=long_ago)


def stop_waiting(attempt):
    Attempt.objects.filter(pk=attempt.pk).update(released_at=NOW)


def test_a_claim_takes_a_lease_raises_the_token_and_counts_the_delivery(queued):
    before = datetime.now(UTC)

    held = claim()

    queued.refresh_from_db()
    assert held == Claim(queued.pk, 1)
    assert (queued.status, queued.lease_token, queued.deliveries, queued.worker) == ("running", 1, 1, "test")
    assert queued.started_at == NOW
    lease = (queued.lease_expires_at - before).total_seconds()
    assert 44 < lease < 50


def test_an_attempt_is_claimed_once(queued):
    assert claim() is not None
    assert claim() is None


def test_an_attempt_whose_turn_has_not_come_is_not_claimed(schedule, make_attempt):
    make_attempt(schedule, status=AttemptStatus.QUEUED, released_at=None)

    assert claim() is None


def test_a_claim_looks_only_at_its_lanes(queued):
    assert claim(Lane.BACKFILL, Lane.MANUAL) is None
    assert claim(Lane.MANUAL, Lane.SCHEDULED) is not None


def test_the_attempt_that_has_waited_longest_is_claimed_first(schedule, make_attempt):
    late = make_attempt(schedule, NOW - HOUR, status=AttemptStatus.QUEUED, released_at=NOW)
    early = make_attempt(schedule, NOW - 2 * HOUR, status=AttemptStatus.QUEUED, released_at=NOW - HOUR)

    assert [claim().attempt_id, claim().attempt_id] == [early.pk, late.pk]


@pytest.mark.parametrize("done", ["success", "error", "killed"])
def test_what_is_done_never_moves(schedule, make_attempt, done):
    attempt = make_attempt(schedule, status=AttemptStatus(done))
    held = Claim(attempt.pk, attempt.lease_token)

    assert claim() is None
    assert attempts.renew([held]) == {}
    assert not attempts.succeed(held, now=NOW)
    assert not attempts.fail(held, reason={}, now=NOW)
    assert not attempts.give_back(held, now=NOW)
    assert not attempts.kill(attempt.pk, now=NOW)
    assert attempts.reap(now=NOW) == 0
    assert status(attempt.pk) == done


def test_success_ends_the_lease(queued):
    held = claim()

    assert attempts.succeed(held, now=NOW + HOUR)

    queued.refresh_from_db()
    assert (queued.status, queued.finished_at, queued.lease_expires_at) == ("success", NOW + HOUR, None)


def test_a_failure_keeps_its_reason_as_data(queued):
    reason = {"message": "exit code 3", "task": "+wf+load", "exit_code": 3}

    assert attempts.fail(claim(), reason=reason, now=NOW)

    queued.refresh_from_db()
    assert (queued.status, queued.reason) == ("error", reason)


def test_nothing_is_written_with_the_token_of_an_earlier_claim(queued):
    old = claim()
    expire(old)
    attempts.reap(now=NOW)
    stop_waiting(queued)
    new = claim()

    assert not attempts.succeed(old, now=NOW)
    assert not attempts.fail(old, reason={"message": "late"}, now=NOW)
    assert not attempts.give_back(old, now=NOW)
    assert attempts.renew([old, new]) == {new: AttemptStatus.RUNNING}
    assert attempts.succeed(new, now=NOW)
    assert new.token > old.token


def test_renewing_prolongs_many_leases_at_once_and_leaves_out_the_lost(schedule, make_attempt):
    for hours in (1, 2, 3):
        make_attempt(schedule, NOW - hours * HOUR, status=AttemptStatus.QUEUED)
    first, second, third = claim(), claim(), claim()
    attempts.succeed(first, now=NOW)
    attempts.kill(second.attempt_id, now=NOW)
    expire(third)

    renewed = attempts.renew([first, second, third])

    assert renewed == {second: AttemptStatus.CANCELING, third: AttemptStatus.RUNNING}
    assert Attempt.objects.get(pk=third.attempt_id).lease_expires_at > datetime.now(UTC)


def test_renewing_nothing_asks_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert attempts.renew([]) == {}


def end_by_success(held, at):
    attempts.succeed(held, now=at)


def end_by_kill(held, at):
    attempts.give_back(held, now=at)
    attempts.kill(held.attempt_id, now=at)


def end_by_the_reaper(held, at):
    Attempt.objects.filter(pk=held.attempt_id).update(deliveries=3)
    expire(held)
    attempts.reap(now=at)


@pytest.mark.parametrize("end", [end_by_success, end_by_kill, end_by_the_reaper])
def test_whoever_slept_since_a_look_at_the_clock_moves_no_end_before_the_beginning(queued, end):
    held = attempts.claim(lanes=LANES, worker="test", now=queued.created_at - HOUR)

    end(held, queued.created_at - 2 * HOUR)

    queued.refresh_from_db()
    assert queued.done
    assert queued.created_at == queued.started_at == queued.finished_at


def test_a_queued_attempt_is_killed_at_once(queued):
    assert attempts.kill(queued.pk, now=NOW)

    queued.refresh_from_db()
    assert (queued.status, queued.cancel_requested_at, queued.finished_at) == ("killed", NOW, NOW)
    assert claim() is None


def test_a_running_attempt_is_asked_to_stop(queued):
    held = claim()

    assert attempts.kill(queued.pk, now=NOW)
    assert not attempts.kill(queued.pk, now=NOW)

    queued.refresh_from_db()
    assert (queued.status, queued.cancel_requested) == ("canceling", True)
    assert attempts.renew([held]) == {held: AttemptStatus.CANCELING}


def test_a_canceling_attempt_that_stops_is_killed(queued):
    held = claim()
    attempts.kill(queued.pk, now=NOW)

    assert attempts.fail(held, reason={"message": "terminated"}, now=NOW)

    assert status(queued.pk) == "killed"


def test_a_canceling_attempt_whose_last_step_had_ended_is_a_success(queued):
    held = claim()
    attempts.kill(queued.pk, now=NOW)

    assert attempts.succeed(held, now=NOW)

    assert status(queued.pk) == "success"


def test_an_attempt_given_back_waits_again_and_its_delivery_does_not_count(queued):
    held = claim()

    assert attempts.give_back(held, now=NOW)

    queued.refresh_from_db()
    assert (queued.status, queued.deliveries, queued.lease_expires_at) == ("queued", 0, None)
    assert claim().token > held.token


def test_a_canceling_attempt_given_back_is_killed(queued):
    held = claim()
    attempts.kill(queued.pk, now=NOW)

    assert attempts.give_back(held, now=NOW)

    assert status(queued.pk) == "killed"


def test_an_attempt_with_a_lease_is_left_alone_by_the_reaper(queued):
    claim()

    assert attempts.reap(now=NOW) == 0
    assert status(queued.pk) == "running"


def test_an_attempt_whose_worker_is_lost_waits_again(queued):
    expire(claim())

    assert attempts.reap(now=NOW) == 1

    queued.refresh_from_db()
    assert (queued.status, queued.deliveries, queued.lease_expires_at) == ("queued", 1, None)


@pytest.mark.parametrize(("deliveries", "seconds"), [(1, 1), (2, 5)])
def test_an_attempt_whose_worker_is_lost_waits_longer_every_time(queued, deliveries, seconds):
    Attempt.objects.update(deliveries=deliveries - 1)
    expire(claim())
    before = datetime.now(UTC)

    attempts.reap(now=NOW)

    queued.refresh_from_db()
    assert abs((queued.released_at - before).total_seconds() - seconds) < 0.5
    assert claim() is None
    Attempt.objects.update(released_at=datetime.now(UTC) - timedelta(milliseconds=10))
    assert claim() is not None


def test_the_clock_of_whoever_released_an_attempt_does_not_hold_it_back(queued):
    Attempt.objects.update(released_at=datetime.now(UTC) + HOUR)

    assert claim() is not None


def test_nor_once_a_worker_has_given_it_back(queued):
    Attempt.objects.update(released_at=datetime.now(UTC) + HOUR)

    assert attempts.give_back(claim(), now=NOW)

    assert claim() is not None


def test_an_attempt_that_waited_after_a_lost_worker_is_rung_for_at_once(queued, monkeypatch):
    monkeypatch.setattr(dispatch, "send", lambda lane, bells: None)
    monkeypatch.setattr(dispatch, "doorbells", lambda lane: 0)
    now = datetime.now(UTC)
    Attempt.objects.update(deliveries=1, started_at=now - HOUR, released_at=now + HOUR)
    assert dispatch.resend(now=now) == []

    Attempt.objects.update(released_at=now - timedelta(milliseconds=10))

    assert dispatch.resend(now=now) == [Lane.SCHEDULED]


def test_an_attempt_that_lost_three_workers_is_an_error(queued):
    for _ in range(3):
        expire(claim())
        attempts.reap(now=NOW)
        stop_waiting(queued)

    queued.refresh_from_db()
    assert (queued.status, queued.reason) == ("error", {"message": "worker lost 3 times"})


def test_a_canceling_attempt_whose_worker_is_lost_is_killed(queued):
    held = claim()
    attempts.kill(queued.pk, now=NOW)
    expire(held)

    assert attempts.reap(now=NOW) == 1
    assert status(queued.pk) == "killed"


def test_killing_an_unknown_attempt_moves_nothing(db):
    assert not attempts.kill(999_999, now=NOW)


def test_work_that_waits_without_a_doorbell_is_rung_for_again(queued, monkeypatch):
    rung = []
    monkeypatch.setattr(dispatch, "send", lambda lane, bells: rung.append(lane))
    monkeypatch.setattr(dispatch, "doorbells", lambda lane: 0)

    assert dispatch.resend(now=NOW + timedelta(seconds=1)) == []
    assert dispatch.resend(now=NOW + HOUR) == [Lane.SCHEDULED]
    assert rung == [Lane.SCHEDULED]


def test_work_that_a_doorbell_waits_for_is_not_rung_for(queued, monkeypatch):
    monkeypatch.setattr(dispatch, "doorbells", lambda lane: 3)

    assert dispatch.resend(now=NOW + HOUR) == []


def test_a_broker_out_of_reach_does_not_undo_what_was_committed(queued, monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionRefusedError("no broker")

    monkeypatch.setattr(dispatch.app, "send_task", refuse)

    dispatch.send(Lane.SCHEDULED, 1)

    assert status(queued.pk) == "queued"


def in_threads(count, action):
    """Run `action(number)` in `count` threads that start together; what each returned."""
    barrier, results = threading.Barrier(count), []

    def body(number):
        try:
            barrier.wait(30)
            results.append(action(number))
        finally:
            connection.close()

    threads = [threading.Thread(target=body, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.django_db(transaction=True)
def test_eight_that_claim_at_once_share_the_attempts_without_doubling(schedule, make_attempt):
    for hours in range(40):
        make_attempt(schedule, NOW - hours * HOUR, status=AttemptStatus.QUEUED)

    def drain(_):
        mine = []
        while held := claim():
            mine.append(held.attempt_id)
        return mine

    taken = [attempt_id for mine in in_threads(8, drain) for attempt_id in mine]

    assert len(taken) == len(set(taken)) == 40


@pytest.mark.django_db(transaction=True)
def test_of_a_kill_and_a_finish_at_once_exactly_one_end_comes(schedule, make_attempt):
    for hours in range(20):
        attempt = make_attempt(schedule, NOW - hours * HOUR, status=AttemptStatus.QUEUED)
        held = claim()
        actions = [
            lambda held=held: attempts.succeed(held, now=NOW),
            lambda attempt=attempt: attempts.kill(attempt.pk, now=NOW),
        ]

        in_threads(2, lambda number, actions=actions: actions[number]())

        attempt.refresh_from_db()
        assert attempt.status == "success"
        assert attempt.finished_at == NOW
