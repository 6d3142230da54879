"""A command of somebody's shop."""

import sys
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("items", nargs="*")
        parser.add_argument("--since", default="")
        parser.add_argument("--force", action="store_true")
        parser.add_argument("--fail", choices=["error", "exit", "bug"])

    def handle(self, *args: str, **options: Any) -> str | None:
        if options["fail"] == "error":
            raise CommandError("nothing to buy", returncode=4)
        if options["fail"] == "exit":
            sys.exit(5)
        if options["fail"] == "bug":
            raise KeyError("shelf")
        self.stderr.write("to stderr")
        self.stdout.write(f"{User._meta.db_table} {options['items']} since={options['since']} force={options['force']}")
        return "returned"
