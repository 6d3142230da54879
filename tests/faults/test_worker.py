"""Workers that are killed, paused or kept busy: F1, F1b, F17, F19, F23, F25."""

import os
import pickle
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kombu import Connection

from projects import archives
from scheduler import attempts, dispatch
from scheduler.celery import app
from scheduler.models import Attempt, AttemptStatus
from tests.faults.conftest import PATIENCE
from tests.faults.invariants import Ledger

pytestmark = [pytest.mark.faults, pytest.mark.processes, pytest.mark.postgres]

Start = Callable[..., Any]

PICKLE = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}

BUSY = b"""import time


def run():
    end = time.monotonic() + 6
    while time.monotonic() < end:
        pass
"""


@pytest.fixture
def begun(wait_until: Callable[..., Any], ledger: Ledger) -> Callable[[Attempt], None]:
    return lambda attempt: wait_until(lambda: ledger.begins(attempt.pk) > 0, PATIENCE)


def test_an_attempt_whose_worker_was_killed_runs_again_once(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, begun: Start, at_rest: Start, nothing_broken: Start
) -> None:
    first = worker()
    (attempt,) = queue(ledger.task("sleep 3"))
    begun(attempt)

    first.kill()
    worker()
    beat()

    at_rest()
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries, ledger.begins(attempt.pk)) == ("success", 2, 2)
    assert (attempt.pk, 1, "end") not in ledger.lines()  # the command went with its worker
    nothing_broken()


def test_a_command_runs_nothing_before_its_end_with_the_worker_is_sure(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start
) -> None:
    dying = worker(HINDCAST_CRASH_AT="child.before_watch")
    (attempt,) = queue(ledger.task())

    assert dying.process.wait(PATIENCE) == -signal.SIGKILL
    worker()
    beat()

    at_rest()
    assert ledger.lines() == [(attempt.pk, 3, "begin"), (attempt.pk, 3, "end")]
    nothing_broken()


@pytest.mark.parametrize("point", ["attempts.after_claim:2", "attempts.before_finish:2", "journal.after_finish:2"])
def test_a_worker_that_is_killed_between_two_statements_loses_nothing(
    worker: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start, beat: Start, point: str
) -> None:
    dying = worker(HINDCAST_CRASH_AT=point)
    queued = queue(ledger.task(), 6)

    assert dying.process.wait(PATIENCE) == -signal.SIGKILL
    worker()
    beat()

    at_rest()
    assert {Attempt.objects.get(pk=attempt.pk).status for attempt in queued} == {"success"}
    nothing_broken()


def test_the_late_result_of_a_worker_that_slept_past_its_lease_is_refused(
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Ledger,
    begun: Start,
    wait_until: Start,
    at_rest: Start,
    nothing_broken: Start,
) -> None:
    sleeper = worker()
    (attempt,) = queue(ledger.task("sleep 0.5"))
    begun(attempt)
    sleeper.process.send_signal(signal.SIGSTOP)
    try:
        worker()
        beat()
        at_rest()
        ended = Attempt.objects.get(pk=attempt.pk)
    finally:
        sleeper.process.send_signal(signal.SIGCONT)

    wait_until(lambda: "lease_lost" in sleeper.output.read_text(), PATIENCE)
    after = Attempt.objects.get(pk=attempt.pk)
    assert (after.status, after.deliveries, after.lease_token) == ("success", 2, ended.lease_token)
    assert after.finished_at == ended.finished_at
    nothing_broken()


def test_a_worker_that_slept_before_its_last_statement_ends_nobody_elses_delivery(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, wait_until: Start, at_rest: Start, nothing_broken: Start
) -> None:
    sleeper = worker(HINDCAST_CRASH_AT="attempts.before_finish", HINDCAST_CRASH_BY="SIGSTOP")
    first_alone = 'case "$PWD" in *.1) ;; *) sleep 5 ;; esac'
    (attempt,) = queue(ledger.task(first_alone))
    wait_until(lambda: (attempt.pk, 1, "end") in ledger.lines(), PATIENCE)
    try:
        worker()
        beat()
        wait_until(lambda: ledger.begins(attempt.pk) == 2, PATIENCE)
    finally:
        sleeper.process.send_signal(signal.SIGCONT)

    wait_until(lambda: "lease_lost" in sleeper.output.read_text(), PATIENCE)
    assert Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.RUNNING
    at_rest()
    attempt.refresh_from_db()
    assert (attempt.status, attempt.deliveries) == ("success", 2)
    nothing_broken()


def test_an_attempt_that_kills_its_worker_each_time_ends_after_three(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start
) -> None:
    (poison,) = queue({"+bad": {"sh>": "kill -9 $PPID"}})
    beat()

    for _ in range(2):
        assert worker().process.wait(PATIENCE) == -signal.SIGKILL
    third = worker()
    good = queue(ledger.task(), 5)

    at_rest()
    assert third.process.poll() is None  # the last delivery had a process of its own
    poison.refresh_from_db()
    assert (poison.status, poison.deliveries) == ("error", 3)
    assert poison.reason == {"message": "worker lost 3 times"}
    assert {Attempt.objects.get(pk=attempt.pk).status for attempt in good} == {"success"}
    nothing_broken()


def test_an_attempt_beside_one_that_kills_its_worker_each_time_is_not_taken_for_it(
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Ledger,
    wait_until: Start,
    at_rest: Start,
    nothing_broken: Start,
    tmp_path: Path,
) -> None:
    (good,) = queue(ledger.task(f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"))
    began = f"grep -c '^{good.pk}[.].* begin' {ledger.path}"
    tried = f"wc -l < {tmp_path}/tried"
    kill = f"echo >> {tmp_path}/tried; until [ $({began}) = $({tried}) ]; do sleep 0.1; done; kill -9 $PPID"
    (poison,) = queue({"+bad": {"sh>": kill}})
    beat()

    for _ in range(2):
        assert worker().process.wait(PATIENCE) == -signal.SIGKILL
    third = worker()

    wait_until(lambda: Attempt.objects.get(pk=poison.pk).done, PATIENCE)
    (tmp_path / "go").touch()
    at_rest()
    for attempt in (poison, good):
        attempt.refresh_from_db()
    assert (poison.status, poison.deliveries) == ("error", 3)
    assert (good.status, good.deliveries) == ("success", 3)
    assert third.process.poll() is None
    nothing_broken()


def test_an_attempt_that_kills_its_process_of_the_pool_harms_no_other(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start
) -> None:
    living = worker("prefork")
    beat()
    (poison,) = queue({"+bad": {"sh>": "kill -9 $PPID"}})
    good = queue(ledger.task("sleep 0.2"), 20)

    at_rest()
    poison.refresh_from_db()
    assert (poison.status, poison.deliveries) == ("error", 3)
    assert living.process.poll() is None
    for attempt in good:
        attempt.refresh_from_db()
        assert (attempt.status, attempt.deliveries) == ("success", 1)
    nothing_broken()


class Touch:
    """Unpickling one of these writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_junk_in_a_queue_is_dropped_and_the_worker_goes_on(
    worker: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start, tmp_path: Path
) -> None:
    living = worker()
    drain = {"task": dispatch.DRAIN_TASK}
    written = tmp_path / "written"
    yaml = f"[[!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{written}]]], {{}}, {{}}]"
    pickled = pickle.dumps(([Touch(written)], {}, {}))
    junk: list[tuple[Any, dict[str, Any]]] = [
        (pickled, {"headers": {**drain, "id": "5"}, **PICKLE}),
        (yaml, {"headers": {**drain, "id": "7"}, "content_type": "application/x-yaml"}),
        (f'[["{"x" * 10_000_000}"], {{}}, {{}}]', {"headers": {**drain, "id": "8"}}),
        ('[["1"], {}, {}]', {"headers": {**drain, "id": "9"}}),
        ("[[-1], {}, {}]", {"headers": {**drain, "id": "10"}}),
        ("{not json", {"headers": {"task": dispatch.DRAIN_TASK, "id": "1"}}),
        ('[["manual"], {}, {}]', {"headers": {"task": "no.such.task", "id": "2"}}),
        ('[["no-such-lane"], {}, {}]', {"headers": {"task": dispatch.DRAIN_TASK, "id": "3"}}),
        ('[[{"lane": -1}], {}, {}]', {"headers": {"task": dispatch.DRAIN_TASK, "id": "4"}}),
        ("neither headers nor sense", {}),
    ]
    with app.connection_for_write() as broker:
        for body, options in junk:
            publish(broker, body, **options)

    queued = queue(ledger.task(), 5)

    at_rest()
    assert living.process.poll() is None
    assert {Attempt.objects.get(pk=attempt.pk).status for attempt in queued} == {"success"}
    said = living.output.read_text()
    assert "no.such.task" in said
    assert "no-such-lane" in said
    assert not written.exists()
    nothing_broken()


def publish(broker: Connection, body: str | bytes, **options: Any) -> None:
    queue = app.amqp.queues["manual"]
    broker.Producer().publish(
        body,
        exchange=queue.exchange,
        routing_key=queue.routing_key,
        **{"content_type": "application/json", "content_encoding": "utf-8", **options},
    )


def test_a_kill_that_meets_the_end_leaves_exactly_one_end(
    worker: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start, wait_until: Start
) -> None:
    seed = int.from_bytes(os.urandom(4))
    random = Random(seed)
    worker()
    queued = queue(ledger.task("sleep 0.01"), 40)
    answers = {}

    for attempt in random.sample(queued, len(queued)):
        if random.random() < 0.5:
            wait_until(lambda: Attempt.objects.filter(status=AttemptStatus.RUNNING).exists() or done(queued), PATIENCE)
        answers[attempt.pk] = attempts.kill(attempt.pk, now=datetime.now(UTC))

    at_rest()
    for attempt in queued:
        attempt.refresh_from_db()
        assert attempt.status in ("killed", "success"), f"seed {seed}"
        assert answers[attempt.pk] or attempt.status == AttemptStatus.SUCCESS, f"seed {seed}"
    nothing_broken()


def done(queued: list[Attempt]) -> bool:
    return not Attempt.objects.live().filter(pk__in=[attempt.pk for attempt in queued]).exists()


def test_code_that_never_rests_does_not_cost_the_lease(
    worker: Start, beat: Start, queue: Start, at_rest: Start, nothing_broken: Start
) -> None:
    worker()
    beat()
    queued = queue({"+busy": {"py>": "busy.run"}}, 2, archive=archives.store({"busy.py": BUSY}))

    at_rest()
    for attempt in queued:
        attempt.refresh_from_db()
        assert (attempt.status, attempt.deliveries) == ("success", 1), attempt.reason
    nothing_broken()


def test_workers_and_beats_replaced_under_load_cost_no_attempt_a_delivery(
    worker: Start, beat: Start, queue: Start, ledger: Ledger, at_rest: Start, nothing_broken: Start, wait_until: Start
) -> None:
    old_worker, old_beat = worker(), beat()
    queued = queue(ledger.task("sleep 0.2"), 30)

    for started in (3, 10):
        wait_until(lambda: len(ledger.lines()) > started, PATIENCE)  # noqa: B023
        new_worker, new_beat = worker(), beat()
        assert old_worker.stop(timeout=PATIENCE) == 0
        assert old_beat.stop(timeout=PATIENCE) == 0
        old_worker, old_beat = new_worker, new_beat

    at_rest()
    for attempt in queued:
        attempt.refresh_from_db()
        assert (attempt.status, attempt.deliveries) == ("success", 1)
    nothing_broken()


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_a_killed_worker_left_is_removed_and_what_another_works_in_is_not(
    worker: Start,
    beat: Start,
    queue: Start,
    ledger: Ledger,
    begun: Start,
    wait_until: Start,
    at_rest: Start,
    nothing_broken: Start,
    tmp_path: Path,
    pool: str,
) -> None:
    work = tmp_path / "work"
    worker(pool)
    (long,) = queue(ledger.task(f"touch here; until [ -e {tmp_path}/go ]; do sleep 0.1; done; rm here"))
    begun(long)
    dying = worker(HINDCAST_CRASH_AT="journal.after_finish")
    beat()
    short = queue(ledger.task("sleep 0.2"), 20)

    assert dying.process.wait(PATIENCE) == -signal.SIGKILL

    wait_until(lambda: not Attempt.objects.live().exclude(pk=long.pk).exists(), PATIENCE)
    wait_until(lambda: [folder.name for folder in work.iterdir()] == [f"{long.pk}.1"], PATIENCE)
    (tmp_path / "go").touch()
    at_rest()
    assert {Attempt.objects.get(pk=attempt.pk).status for attempt in (long, *short)} == {"success"}
    assert Attempt.objects.get(pk=long.pk).deliveries == 1
    nothing_broken()
