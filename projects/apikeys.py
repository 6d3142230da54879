"""VERBS on API keys: issue, find the owner of a presented key, revoke.

A key reads `hc_<prefix>_<secret>`: the prefix finds the row, the secret (256 random bits) is compared by its
HMAC-SHA256 under `HINDCAST_API_KEY_PEPPER`. A fast hash is right here: the secret is random, not a password.
"""

import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q

from projects.models import NAME_LENGTH, ApiKey, Project, Scope

SCHEME = "hc"
LAST_USED_EVERY = timedelta(minutes=1)


def issue(
    *,
    user: AbstractBaseUser,
    name: str,
    now: datetime,
    scopes: Iterable[Scope] = tuple(Scope),
    project: Project | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for `user`. Returns the row and the key itself, which is shown this once and never stored."""
    prefix = secrets.token_hex(6)
    text = f"{SCHEME}_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        user_id=user.pk,
        name=name[:NAME_LENGTH],
        prefix=prefix,
        digest=digest(text),
        scopes=[scope.value for scope in scopes],
        project=project,
        created_at=now,
        expires_at=expires_at,
    )
    return key, text


def find(text: str, *, now: datetime) -> ApiKey | None:
    """The usable key that `text` is, with its user loaded; None when it is wrong, revoked or expired."""
    parts = text.split("_", 2)
    prefix = parts[1] if len(parts) == 3 and parts[0] == SCHEME else ""
    key = ApiKey.objects.usable(now).select_related("user").filter(prefix=prefix).first()
    expected = key.digest if key else "0" * 64  # compare in any case: the answer takes the same time
    return key if hmac.compare_digest(digest(text), expected) and key else None


def touch(key: ApiKey, *, now: datetime) -> None:
    """Note that `key` was used, at most once a minute."""
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def revoke(key: ApiKey, *, now: datetime) -> bool:
    """End `key` at once. False when it had been revoked before."""
    return ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now) == 1


def digest(text: str) -> str:
    pepper = settings.HINDCAST_API_KEY_PEPPER.encode()
    return hmac.new(pepper, text.encode(), sha256).hexdigest()
