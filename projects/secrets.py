"""VERBS on secrets of projects: put, delete, list the keys, reseal; and `reveal`, which is for the worker alone."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from projects import sealing
from projects.models import NAME_LENGTH, Project, Secret

MOST_VALUE_BYTES = 16 * 1024
SEGMENT = r"[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
KEY = re.compile(rf"{SEGMENT}(?:\.{SEGMENT})*", re.ASCII)


class InvalidSecret(ValueError):  # noqa: N818 - named as the fact
    """`field` is "key" or "value"; `problem` says what is wrong with it. The value itself is not told."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class SecretNotFound(LookupError):  # noqa: N818 - named as the fact
    """The project has no secret under `key`."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The project has no secret {key!r}.")
        self.key = key


class SecretUnreadable(Exception):  # noqa: N818 - named as the fact
    """The secret under `key` was sealed with a key that is not there any more, or for another row."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The secret {key!r} cannot be opened. Set it again, or put the key that sealed it back into "
            "HINDCAST_SECRETS_KEYS."
        )
        self.key = key


class SecretValue(str):
    """A revealed value. It shows itself only where it is meant: its repr, in a traceback for one, is `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


@sensitive_variables("value")
def put(*, project_id: int, key: str, value: str, now: datetime) -> None:
    """Set a secret, over an earlier one. Raises InvalidSecret, and Project.DoesNotExist when no such one is live."""
    check_key(key)
    check_value(value)
    sealed = sealing.seal(value, owner=(project_id, key))
    with transaction.atomic():
        project = Project.objects.live().select_for_update().get(pk=project_id)  # a deletion comes before or after
        Secret.objects.update_or_create(project=project, key=key, defaults={"sealed": sealed, "updated_at": now})


def delete(*, project_id: int, key: str) -> bool:
    """Forget a secret. False when there was none, which is no error."""
    return Secret.objects.filter(project=project_id, key=key).delete()[0] == 1


def delete_all(project_id: int) -> None:
    """Forget every secret of a project."""
    Secret.objects.filter(project=project_id).delete()


def keys(project_id: int) -> list[str]:
    """The keys of a project's secrets, in their order as text."""
    return sorted(Secret.objects.filter(project=project_id).values_list("key", flat=True))


@sensitive_variables()
def reveal(*, project_id: int, key: str) -> SecretValue:
    """The value of a secret. Raises SecretNotFound, SecretUnreadable."""
    sealed = Secret.objects.filter(project=project_id, key=key).values_list("sealed", flat=True).first()
    if sealed is None:
        raise SecretNotFound(key)
    try:
        return SecretValue(sealing.unseal(sealed, owner=(project_id, key)))
    except sealing.Unsealable:
        raise SecretUnreadable(key) from None


@sensitive_variables()
def reveal_all(project_id: int) -> dict[str, SecretValue]:
    """All of a project's secrets by key, but for those that cannot be opened; one query."""
    found: dict[str, SecretValue] = {}
    for key, sealed in Secret.objects.filter(project=project_id).values_list("key", "sealed"):
        with suppress(sealing.Unsealable):
            found[key] = SecretValue(sealing.unseal(sealed, owner=(project_id, key)))
    return found


@dataclass
class Resealing:
    """What became of all secrets: how many were sealed anew, how many need not be, and which cannot be opened."""

    resealed: int = 0
    current: int = 0
    unreadable: list[Secret] = field(default_factory=list)


def reseal_all(*, dry_run: bool) -> Resealing:
    """Seal every secret with the key that seals now, one by one; one that is set meanwhile stays as it is set then."""
    done = Resealing()
    for pk in list(Secret.objects.order_by("pk").values_list("pk", flat=True)):
        secret = Secret.objects.select_related("project").filter(pk=pk).first()
        if secret is not None:
            _reseal(secret, done, dry_run=dry_run)
    return done


def _reseal(secret: Secret, done: Resealing, *, dry_run: bool) -> None:
    try:
        sealed = sealing.resealed(secret.sealed, owner=(secret.project_id, secret.key))
    except sealing.Unsealable:
        done.unreadable.append(secret)
        return
    if sealed is None:
        done.current += 1
    elif dry_run or Secret.objects.filter(pk=secret.pk, sealed=secret.sealed).update(sealed=sealed):
        done.resealed += 1


def check_key(key: str) -> None:
    """Raises InvalidSecret unless `key` is one: segments of letters, digits, `_` and `-`, joined by dots."""
    if len(key) > NAME_LENGTH:
        raise InvalidSecret("key", f"It is longer than {NAME_LENGTH} characters.")
    if not KEY.fullmatch(key):
        raise InvalidSecret(
            "key",
            "Give segments joined by dots, each of letters, digits, _ and -, beginning with a letter and ending with a "
            "letter or digit: db.password, for one.",
        )


@sensitive_variables()
def check_value(value: str) -> None:
    """Raises InvalidSecret unless `value` is one: a text of at most MOST_VALUE_BYTES in UTF-8."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidSecret("value", "It is no text: it has half of a surrogate pair.") from None
    if size > MOST_VALUE_BYTES:
        raise InvalidSecret("value", f"It is longer than {MOST_VALUE_BYTES:,} bytes.")
