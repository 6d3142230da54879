"""DOOR: the secrets of all projects under the newest key."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from projects import secrets


class Command(BaseCommand):
    help = (
        "Seal the secrets of all projects with the first key of HINDCAST_SECRETS_KEYS, so that the others can be left "
        "out. Run it once every process has that key. Ends with 1 when a secret cannot be opened."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-d", "--dry-run", action="store_true", help="count them, and seal nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        done = secrets.reseal_all(dry_run=dry_run)
        self.stdout.write(
            f"{done.resealed} {'to seal' if dry_run else 'sealed'} anew, {done.current} as they should be."
        )
        if done.unreadable:
            names = ", ".join(f"{secret.project.name} {secret.key}" for secret in done.unreadable)
            raise CommandError(
                f"{len(done.unreadable)} cannot be opened ({names}). Set them again, or put back their key."
            )
