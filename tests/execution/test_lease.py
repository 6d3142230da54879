"""Leases of this process, as the database and time decide about them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.utils import timezone

from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.execution.child import Child, environment
from scheduler.execution.lease import Lease, renew, seconds
from scheduler.execution.orphans import orphans
from scheduler.models import Attempt, Lane

ECHO = {"+a": {"echo>": "x"}}


def leased(attempt: Attempt) -> Lease:
    claim = attempts.claim(lanes=[Lane.MANUAL], worker="test", now=attempt.created_at)
    assert claim
    return Lease(claim, seconds())


def test_a_lease_that_was_lost_is_not_renewed_beside_others(queue: Callable[..., Any]) -> None:
    lost, held = leased(queue(ECHO)), leased(queue(ECHO))
    soon = timezone.now() + timedelta(seconds=1)
    Attempt.objects.update(lease_expires_at=soon)

    lost.lose()
    renew([lost, held])

    ends = dict(Attempt.objects.values_list("pk", "lease_expires_at"))
    assert ends[lost.claim.attempt_id] == soon
    assert ends[held.claim.attempt_id] > soon


def test_a_command_that_takes_long_to_die_keeps_no_lease_from_being_enforced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dying, goes_on, end = Event(), Event(), orphans.end

    def end_slowly(leader: int, mark: str) -> None:
        dying.set()
        goes_on.wait(20)
        end(leader, mark)

    monkeypatch.setattr(orphans, "end", end_slowly)
    child, lease = Child("sleep 60", cwd=tmp_path, env=environment(tmp_path, {})), Lease(Claim(1, 1), claimed_at=0)
    closing = Thread(target=child.close)
    guard = Thread(target=lease.enforce, args=(seconds(),))

    with lease.over(child):
        closing.start()
        assert dying.wait(10)
        guard.start()
        guard.join(10)
        enforced, died = not guard.is_alive(), not closing.is_alive()
        goes_on.set()
    closing.join()

    assert (lease.lost, enforced, died) == (True, True, False)
