"""`_export`ed variables as a child sees them in its environment."""

import re
from collections.abc import Mapping

from scheduler.execution.template import as_text

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def exported_environment(exported: Mapping[str, object]) -> dict[str, str]:
    """Only what the workflow's author exports: a parameter of an attempt must not set PATH."""
    return {name: as_text(value) for name, value in exported.items() if NAME.fullmatch(name)}
