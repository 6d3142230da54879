"""Leases of this process, as the database and time decide about them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from scheduler import attempts
from scheduler.execution.lease import Lease, renew, seconds
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
