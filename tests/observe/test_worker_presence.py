from collections.abc import Callable
from typing import Any

import pytest

from scheduler.models import Heartbeat


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_is_there_while_it_runs(
    start_worker: Callable[..., Any], wait_until: Callable[..., Any], pool: str
) -> None:
    worker = start_worker(pool)

    there = wait_until(lambda: Heartbeat.objects.filter(kind="worker").first())
    worker.stop()

    assert there.name.endswith(f":{worker.pid}")
    assert there.facts == {"slots": 2}
    assert not Heartbeat.objects.exists()
