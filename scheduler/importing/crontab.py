"""VERB: take over a crontab: a project with a workflow for each of its lines, and a schedule with the same times."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser

from projects.models import Revision
from scheduler.errors import HindcastError
from scheduler.importing.crontab_lines import BadLine, mark_of, read
from scheduler.importing.takeover import Comparison, compare, existing, write


class LinesRefused(HindcastError):  # noqa: N818 - named as the fact
    """Lines that cannot be taken: `lines`, each with its reason. Nothing was written."""

    def __init__(self, lines: tuple[BadLine, ...]) -> None:
        count = "1 line" if len(lines) == 1 else f"{len(lines)} lines"
        super().__init__("\n".join([f"{count} cannot be taken:", *map(str, lines)]))
        self.lines = lines


@dataclass(frozen=True)
class CrontabTaken:
    """What changes, or would. `left_out` are the lines that were not taken, `revision` is None without a change."""

    comparison: Comparison
    notes: tuple[str, ...]
    left_out: tuple[BadLine, ...]
    revision: Revision | None = None


def take_over(
    text: str,
    *,
    source: str,
    project_name: str,
    timezone: str,
    has_users: bool = False,
    skip_bad: bool = False,
    dry_run: bool = False,
    now: datetime,
    created_by: AbstractBaseUser | None = None,
) -> CrontabTaken:
    """Make the project's workflows those of the crontab `text`; again, what an earlier import of `source` made.

    Files of the project that were not imported from `source` stay as they are. Raises LinesRefused, unless `skip_bad`;
    InvalidInput naming `project` or `timezone`; FilesRefused; ProjectMoved. Nothing is written then.
    """
    mark = mark_of(source)
    there = existing(project_name)
    taken = there.names_beside([mark])
    reading = read(text, source=source, timezone=timezone, has_users=has_users, taken=taken)
    if reading.bad and not skip_bad:
        raise LinesRefused(reading.bad)
    comparison = compare(there, reading.drafts, marks=[mark])
    revision = None if dry_run else write(comparison, now=now, created_by=created_by)
    return CrontabTaken(comparison, reading.notes, reading.bad, revision)
