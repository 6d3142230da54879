"""Commands as a shell sees them: what they print on both streams, and how they end."""

from collections.abc import Callable
from io import StringIO
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command


class Said(NamedTuple):
    out: str
    err: str
    code: int

    @property
    def cells(self) -> list[list[str]]:
        """The table that was printed."""
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in self.out.splitlines()]

    @property
    def facts(self) -> dict[str, str]:
        """The facts that were printed, a line each."""
        pairs = [line.partition(": ") for line in self.out.splitlines()]
        return {name.strip(): value.strip() for name, _, value in pairs}


@pytest.fixture
def manage() -> Callable[..., Said]:
    """manage("kill", 7): the command with these arguments."""

    def run(command: str, *arguments: object) -> Said:
        out, err, code = StringIO(), StringIO(), 0
        try:
            call_command(command, *map(str, arguments), stdout=out, stderr=err)
        except CommandError as refusal:
            err.write(str(refusal))
            code = refusal.returncode
        except SystemExit as end:
            code = int(end.code or 0)
        return Said(out.getvalue(), err.getvalue(), code)

    return run
