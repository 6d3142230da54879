"""System checks of Hindcast's own settings: what is wrong, and what to do. `manage.py check` runs them, and `up`."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from projects import sealing
from scheduler.execution.outside.places import Refused, place_of
from scheduler.observe import error_tracking

BROKERS = {"hindcast+sqlite", "redis", "rediss", "amqp", "amqps", "pyamqp", "memory"}
LOOPBACK = {"127.0.0.1", "localhost", "[::1]", ".localhost", "testserver"}
AT_LEAST_ONE = (
    "HINDCAST_MAX_BACKFILL_SESSIONS",
    "HINDCAST_DOORBELLS",
    "HINDCAST_PARALLEL_TASKS",
    "HINDCAST_LOG_LIMIT_BYTES",
    "HINDCAST_MAX_UPLOAD_BYTES",
    "HINDCAST_MAX_ARCHIVE_BYTES",
    "HINDCAST_MAX_ARCHIVE_MEMBERS",
)
ABOVE_ZERO = (
    "HINDCAST_LEASE_SECONDS",
    "HINDCAST_LOG_MOVE_SECONDS",
    "HINDCAST_RENEW_SECONDS",
    "HINDCAST_RESEND_SECONDS",
    "HINDCAST_LATE_SECONDS",
    "HINDCAST_DOWN_SECONDS",
    "HINDCAST_MAX_UPLOAD_SECONDS",
)


@register
def check_broker(**_: Any) -> Iterator[CheckMessage]:
    scheme = urlsplit(settings.BROKER_URL).scheme
    if scheme not in BROKERS:
        yield Error(
            f"BROKER_URL begins with {scheme!r}, which is no broker that Hindcast knows.",
            hint="Use redis://HOST:6379/0 or amqp://USER:PASSWORD@HOST//, or leave it out for the embedded broker.",
            id="hindcast.E001",
        )


@register
def check_numbers(**_: Any) -> Iterator[CheckMessage]:
    for name in AT_LEAST_ONE:
        if getattr(settings, name) < 1:
            yield Error(f"{name} is {getattr(settings, name)}.", hint="Set it to 1 or more.", id="hindcast.E002")
    for name in ABOVE_ZERO:
        if getattr(settings, name) <= 0:
            yield Error(f"{name} is {getattr(settings, name)}.", hint="Set it above 0.", id="hindcast.E003")
    if settings.HINDCAST_REQUESTS_PER_MINUTE < 0:
        yield Error(
            f"HINDCAST_REQUESTS_PER_MINUTE is {settings.HINDCAST_REQUESTS_PER_MINUTE}.",
            hint="Set it to 1 or more, or to 0 for any number.",
            id="hindcast.E008",
        )


@register
def check_leases(**_: Any) -> Iterator[CheckMessage]:
    """A lease that ends before its first renewal takes every attempt away from the worker that runs it."""
    lease, renew = settings.HINDCAST_LEASE_SECONDS, settings.HINDCAST_RENEW_SECONDS
    if renew >= lease:
        yield Error(
            f"HINDCAST_RENEW_SECONDS is {renew:g} and HINDCAST_LEASE_SECONDS {lease:g}: leases would end unrenewed.",
            hint="Renew several times in a lease: by default every 10 s in 45 s.",
            id="hindcast.E004",
        )


@register
def check_secrets_keys(**_: Any) -> Iterator[CheckMessage]:
    wrong = sealing.wrong_keys(settings.HINDCAST_SECRETS_KEYS)
    if wrong:
        yield Error(
            f"HINDCAST_SECRETS_KEYS: no key is at position {', '.join(map(str, wrong))} of the list.",
            hint="A key is 32 random bytes in URL-safe base64. Make one: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
            id="hindcast.E005",
        )


@register
def check_outside(**_: Any) -> Iterator[CheckMessage]:
    for entry in settings.HINDCAST_HTTP_ALLOW:
        try:
            place_of(entry)
        except Refused as refusal:
            yield Error(f"HINDCAST_HTTP_ALLOW: {refusal}", hint="Give HOST:PORT,HOST:PORT.", id="hindcast.E006")
    wrong = [str(port) for port in settings.HINDCAST_HTTP_PORTS if not 1 <= port <= 65_535]
    if wrong:
        yield Error(
            f"HINDCAST_HTTP_PORTS: {', '.join(wrong)} is no port.", hint="Ports are 1 to 65535.", id="hindcast.E009"
        )
    if settings.EMAIL_USE_TLS and settings.EMAIL_USE_SSL:
        yield Error(
            "EMAIL_USE_TLS and EMAIL_USE_SSL are both on.",
            hint="EMAIL_USE_SSL is for port 465 alone, EMAIL_USE_TLS for all others.",
            id="hindcast.E007",
        )


@register
def check_error_tracking(**_: Any) -> Iterator[CheckMessage]:
    if settings.SENTRY_DSN and not find_spec(error_tracking.PACKAGE):
        yield Warning(
            "SENTRY_DSN is set and the package sentry-sdk is not there: no error is reported.",
            hint="Install it: pip install -c constraints.txt -e '.[sentry]'. Or leave SENTRY_DSN out.",
            id="hindcast.W002",
        )


@register(Tags.security)
def check_debug(**_: Any) -> Iterator[CheckMessage]:
    elsewhere = [host for host in settings.ALLOWED_HOSTS if host not in LOOPBACK]
    if settings.DEBUG and elsewhere:
        yield Warning(
            f"DEBUG is on and the site answers to {', '.join(elsewhere)}: errors show settings and source to others.",
            hint="Leave DEBUG out, or ALLOWED_HOSTS.",
            id="hindcast.W001",
        )


@register(Tags.security, deploy=True)
def check_proxy(**_: Any) -> Iterator[CheckMessage]:
    """Without it all callers have the proxy's address, and who guesses passwords keeps everybody from signing in."""
    if settings.HTTPS and not settings.HINDCAST_BEHIND_PROXY:
        yield Warning(
            "HTTPS is on and HINDCAST_BEHIND_PROXY is not: behind a proxy, all tries to sign in count as one caller's.",
            hint="Set HINDCAST_BEHIND_PROXY=1, and let the proxy set X-Forwarded-Proto and X-Forwarded-For. Where "
            "gunicorn itself ends TLS, all is well.",
            id="hindcast.W003",
        )
