"""Encryption of secrets at rest.

Values are sealed with Fernet (AES-128-CBC, HMAC-SHA256): the first key of HINDCAST_SECRETS_KEYS seals, every one of
them opens, and so does a key that follows from SECRET_KEY, which seals while no other is set. What a value belongs to
is sealed together with it: Fernet has no associated data, and without it whoever can write to the database could copy
a row to a project of his own and let its workflows print it.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

Owner = tuple[int, str]  # a project's id, and a key in it


class Unsealable(Exception):  # noqa: N818 - named as the fact
    """Sealed with a key that is not there, for another owner, or damaged."""


@sensitive_variables()
def seal(value: str, *, owner: Owner) -> str:
    """`value`, encrypted for `owner`. Text of ASCII characters, another each time."""
    return _box().encrypt(json.dumps([*owner, value]).encode()).decode()


@sensitive_variables()
def unseal(sealed: str, *, owner: Owner) -> str:
    """What was sealed for `owner`. Raises Unsealable."""
    try:
        *owned_by, value = json.loads(_box().decrypt(sealed.encode()))
    except InvalidToken:
        raise Unsealable from None
    if tuple(owned_by) != owner:
        raise Unsealable
    return str(value)


@sensitive_variables()
def resealed(sealed: str, *, owner: Owner) -> str | None:
    """The same value, sealed with the key that seals now; None where it is. Raises Unsealable."""
    value = unseal(sealed, owner=owner)
    return None if _opens(_fernets()[0], sealed) else seal(value, owner=owner)


def wrong_keys(texts: Sequence[str]) -> list[int]:
    """Which of HINDCAST_SECRETS_KEYS, counted from 1, are no keys."""
    return [position for position, text in enumerate(texts, 1) if not _is_key(text)]


def _box() -> MultiFernet:
    return MultiFernet(_fernets())


def _fernets() -> list[Fernet]:
    return _fernets_of(tuple(settings.HINDCAST_SECRETS_KEYS), settings.SECRET_KEY)


@lru_cache(maxsize=4)
@sensitive_variables()
def _fernets_of(texts: tuple[str, ...], secret_key: str) -> list[Fernet]:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"hindcast secrets").derive(secret_key.encode())
    return [Fernet(text) for text in [*texts, urlsafe_b64encode(derived).decode()]]


def _opens(key: Fernet, sealed: str) -> bool:
    try:
        key.decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def _is_key(text: str) -> bool:
    try:
        Fernet(text)
    except ValueError:
        return False
    return True
