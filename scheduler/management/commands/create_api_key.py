"""DOOR: a new API key."""

import argparse
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from projects import apikeys
from projects.models import NAME_LENGTH, Scope


class Command(BaseCommand):
    help = "Make an API key that acts as a user. Prints the key alone; it is not shown again."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="what the key is for")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="what the key may do, once for each; both when left out",
        )
        parser.add_argument("--expires", help="when it ends: a time with its offset, such as 2027-01-31T00:00:00Z")

    def handle(self, *args: Any, username: str, name: str, expires: str | None, **options: Any) -> None:
        now = datetime.now(UTC)
        if not name.strip() or len(name) > NAME_LENGTH or not name.isprintable():
            raise CommandError(f"--name: 1 to {NAME_LENGTH} letters, without control characters.")
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}. `manage.py createsuperuser` makes one.")
        if not user.is_active:
            raise CommandError(f"The user {username!r} is not active; the key would not open anything.")
        _, key = apikeys.issue(
            user=user,
            name=name,
            now=now,
            scopes=[Scope(value) for value in dict.fromkeys(options["scope"] or Scope.values)],
            expires_at=expiry(expires, now) if expires else None,
        )
        self.stdout.write(key)


def expiry(text: str, now: datetime) -> datetime:
    """The instant that `text` names. Raises CommandError when it is none, or not after `now`."""
    try:
        expires_at = datetime.fromisoformat(text)
        if expires_at.tzinfo is None:
            raise ValueError
        expires_at = expires_at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            f"--expires: {text!r} is not a time with its offset, such as 2027-01-31T00:00:00Z."
        ) from None
    if expires_at <= now:
        raise CommandError(f"--expires: {text} is over already.")
    return expires_at
