"""The product's queues under names of their own, so that tests that run at once do not hear each other's doorbells."""

from collections.abc import Mapping

from kombu import Exchange, Queue

NAMES = ("scheduled", "manual", "backfill", "celery")


def own_queues(environment: Mapping[str, str]) -> list[Queue]:
    """Celery finds each by its usual name, its alias."""
    prefix = environment["HINDCAST_TEST_QUEUES"]
    exchange = Exchange(f"{prefix}doorbells", type="direct")
    return [Queue(prefix + name, exchange, routing_key=prefix + name, alias=name) for name in NAMES]
