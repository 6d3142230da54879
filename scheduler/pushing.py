"""VERB: push a project, from its files to its schedules: a new revision, all of it or nothing.

The files are read and checked, and the archive is kept, before the transaction begins. What is refused leaves the
earlier revision and its schedules as they were.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from projects import archives, dig
from projects.models import NAME_LENGTH, Revision
from projects.revisions import publish
from projects.uploads import Upload
from scheduler.backfill import in_utc
from scheduler.errors import InvalidInput
from scheduler.language import LANGUAGE
from scheduler.schedules import adopt

# Narrower than Digdag, which looks at the first character alone: nothing that means something in a path or that a
# shell puts something in place of.
NAME = re.compile(r"(?:[^\W\d]|[(\[])[\w .@~=,;&+!#%'(){}\[\]-]*")


@dataclass(frozen=True)
class Start:
    """From when on new schedules run (aware), and which of those that are there forget what they ran."""

    at: datetime | None = None
    cleared: frozenset[str] = frozenset()
    all_cleared: bool = False

    def clears(self, workflow: str) -> bool:
        return self.all_cleared or workflow in self.cleared


def push(
    *,
    project_name: str,
    revision_name: str,
    upload: Upload,
    start: Start = Start(),
    now: datetime,
    created_by: AbstractBaseUser | None = None,
) -> Revision:
    """Make the files of `upload` the newest revision of the project, which is made when there is none of that name.

    Workflows that have a `schedule:` are scheduled: new ones from `start.at` on (`now`, unless given), those that were
    scheduled before go on after their last session, unless cleared.

    Raises InvalidInput naming `project`, `revision`, `archive`, `schedule_from` or `clear_schedule`; FilesRefused with
    every mistake in the workflows; RevisionTaken. Nothing is written then, but perhaps an archive that nothing names.
    """
    at = checked(project_name, revision_name, start.at)
    documents = dig.read(upload.files, language=LANGUAGE)
    refuse_unknown(start.cleared, documents)
    if not documents:
        refuse_misplaced(upload.files)
    archive = archives.keep(upload)
    with transaction.atomic():
        revision = publish(
            project_name=project_name,
            revision_name=revision_name,
            documents={name: dict(document) for name, document in documents.items()},
            files=archive,
            now=now,
            created_by=created_by,
        )
        adopt(revision, now=now, schedule_from=at, cleared=[name for name in documents if start.clears(name)])
    return revision


def checked(project_name: str, revision_name: str, at: datetime | None) -> datetime | None:
    """The start in UTC. Raises InvalidInput naming every wrong field."""
    schedule_from = in_utc(at) if at else None
    errors = {"project": name_faults(project_name), "revision": revision_faults(revision_name)}
    if at and schedule_from is None:
        errors["schedule_from"] = ["Give a time with its offset from UTC, between the years 1 and 9999."]
    if found := {field: texts for field, texts in errors.items() if texts}:
        raise InvalidInput(found)
    return schedule_from


def name_faults(name: str) -> list[str]:
    """What is wrong with the name of a project."""
    if len(name) > NAME_LENGTH:
        return [f"A name has at most {NAME_LENGTH} characters."]
    if name.endswith(".dig"):
        return ["Give the name of a project; one that ends in .dig is that of a workflow's file."]
    if NAME.fullmatch(name) and name == name.strip() and name.isprintable():
        return []
    signs = " ".join("_.-@~=,;&+!#%'()[]{}")
    return [f"Give a name that begins with a letter, _, ( or [, of letters, digits, spaces and any of {signs}."]


def revision_faults(name: str) -> list[str]:
    if not name.strip() or not name.isprintable():
        return ["Give the revision a name."]
    return [] if len(name) <= NAME_LENGTH else [f"A name has at most {NAME_LENGTH} characters."]


def refuse_misplaced(files: Collection[str]) -> None:
    """A folder that was packed as a whole has its workflows one floor too deep. No files at all may well be meant."""
    nested = next((path for path in sorted(files) if path.endswith(".dig")), None)
    if nested:
        where = f"{nested[:200]} is in a folder. Pack what is in the folder, not the folder itself"
        raise InvalidInput({"archive": [f"There is no workflow: .dig files count at the top alone, and {where}."]})


def refuse_unknown(cleared: Collection[str], documents: Mapping[str, object]) -> None:
    if unknown := sorted(set(cleared) - set(documents)):
        raise InvalidInput({"clear_schedule": [f"There is no workflow {name!r} in these files." for name in unknown]})
