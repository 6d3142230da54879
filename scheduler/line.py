"""The line to the broker for hints: a connection that gives up soon.

Whoever rings keeps somebody waiting, and what is lost is sent again; so a broker that accepts connections and then says
nothing (a lost route, a machine that hangs) may cost a second or two. Workers, who listen, have all the time.
"""

from typing import Any

from kombu.connection import Connection
from kombu.transport import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.celery import app

SILENT_SECONDS = 1.0


def line() -> Connection:
    """A connection to the configured broker, not yet open. Equal ones share their pool in `kombu.pools`."""
    # Without heartbeats, as nobody sends any while there is nothing to ring for.
    connection: Connection = app.connection_for_write(
        connect_timeout=SILENT_SECONDS, heartbeat=0, **_short(app.conf.broker_url)
    )
    return connection


def _short(url: str) -> dict[str, Any]:
    if url.startswith(("redis://", "rediss://")):
        short = {"socket_timeout": SILENT_SECONDS, "socket_connect_timeout": SILENT_SECONDS}
        return {"transport": f"{__name__}:RedisTransport", "transport_options": short}
    if url.startswith(("amqp://", "amqps://", "pyamqp://")):
        return {"transport_options": {"read_timeout": SILENT_SECONDS, "write_timeout": SILENT_SECONDS}}
    return {}


class RedisChannel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """redis-py would wait four times before it says that nobody answered."""
        told = super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        return {**told, "retry": Retry(NoBackoff(), 0)}


class RedisTransport(redis.Transport):
    Channel = RedisChannel
