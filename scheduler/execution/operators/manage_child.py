"""What the child of `manage>` does: runs a management command, as `manage.py` would."""

from typing import Any

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

# They choose what code is run, and so are for whoever keeps the worker.
NOT_HERE = ("settings", "pythonpath")


def run(name: str, arguments: list[str]) -> dict[str, Any]:
    """`{}`, or `{"error": …, "exit_code": …}`."""
    owner = get_commands()[name]
    command = owner if isinstance(owner, BaseCommand) else load_command_class(owner, name)
    command._called_from_command_line = True  # type: ignore[attr-defined]  # it tells how it is used, then
    try:
        return _executed(command, name, arguments)
    except CommandError as error:
        return {"error": f"{name}: {error}", "exit_code": error.returncode}
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
        return {"error": f"{name} ended with exit code {code}.", "exit_code": code} if code else {}
    finally:
        connections.close_all()


def _executed(command: BaseCommand, name: str, arguments: list[str]) -> dict[str, Any]:
    options = vars(command.create_parser("manage.py", name).parse_args(arguments))
    for option in NOT_HERE:
        if options.get(option):
            return {"error": f"--{option} is not for manage>.", "exit_code": 2}
    command.execute(*options.pop("args", ()), **options)
    return {}
