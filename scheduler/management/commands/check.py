"""DOOR: Django's own check, to which a folder can be handed, too, as to Digdag's."""

from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.core.management.commands.check import Command as DjangoCheck


class Command(DjangoCheck):
    help = (
        "Checks this installation for problems. Given a folder that is no app label, checks the project in it, as "
        "check_project does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="of a folder: print JSON instead")

    def handle(self, *app_labels: Any, **options: Any) -> None:
        json = options.pop("json")
        if len(app_labels) == 1 and is_folder(app_labels[0]):
            call_command("check_project", app_labels[0], json=json, stdout=self.stdout, stderr=self.stderr)
        elif json:
            raise CommandError("--json goes with the folder of a project.")
        else:
            super().handle(*app_labels, **options)


def is_folder(name: str) -> bool:
    """An app's label comes first, as ever; one that is meant as a folder can be written ./name."""
    labels = {config.label for config in apps.get_app_configs()}
    return name not in labels and Path(name).is_dir()
