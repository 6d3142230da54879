"""VERB: write drafts into a project, beside what is there: look first, say what would change, then push."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import PurePosixPath
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from projects import archives, dig
from projects.models import Project, Revision
from projects.revisions import locked_project
from projects.uploads import Upload, receive
from scheduler.errors import HindcastError, InvalidInput
from scheduler.importing.drafts import Draft
from scheduler.language import LANGUAGE
from scheduler.pushing import name_faults, push


class ProjectMoved(HindcastError):  # noqa: N818 - named as the fact
    """Something else was pushed to the project, or what is to be imported changed, since it was looked at."""

    def __init__(self, project_name: str) -> None:
        super().__init__(
            f"What would be done to the project {project_name!r} is not what was shown, as something changed "
            "meanwhile. Nothing was written; look again."
        )


class Change(Enum):
    """What becomes of a workflow."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True)
class Step:
    """One workflow that is, or was, imported. `before` and `after` are its `.dig` file; "" where there is none."""

    change: Change
    name: str
    before: str = ""
    after: str = ""
    draft: Draft | None = None


@dataclass(frozen=True)
class Existing:
    """The newest files of a project; none for one that is to be made. `executable` are paths among them."""

    project_name: str
    revision: Revision | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    executable: frozenset[str] = frozenset()

    def marked(self, marks: Collection[str]) -> set[str]:
        """The paths that earlier imports with these marks wrote."""
        wanted = {mark.encode() for mark in marks}
        return {path for path, content in self.files.items() if content.partition(b"\n")[0] in wanted}

    def names_beside(self, marks: Collection[str]) -> set[str]:
        """The names of workflows and scripts that were not written with these marks."""
        return {PurePosixPath(path).stem for path in self.files.keys() - self.marked(marks)}


@dataclass(frozen=True)
class Comparison:
    """What the project is, and what it would be. Nothing is written yet."""

    existing: Existing
    files: Mapping[str, bytes]
    steps: tuple[Step, ...]

    @property
    def project_name(self) -> str:
        return self.existing.project_name

    @property
    def has_changes(self) -> bool:
        return self.files != self.existing.files

    @property
    def fingerprint(self) -> str:
        """Stands for exactly these files, in that project, on top of exactly that revision."""
        base = self.existing.revision.pk if self.existing.revision else None
        digest = hashlib.sha256(repr((self.project_name, base)).encode())
        for path in sorted(self.files):
            digest.update(repr((path, self.files[path])).encode())
        return digest.hexdigest()[:32]


def existing(project_name: str) -> Existing:
    """The files of the newest revision of the live project of that name.

    Raises InvalidInput naming `project` for a name that no project may have, and for one whose workflows have no files.
    """
    if faults := name_faults(project_name):
        raise InvalidInput({"project": faults})
    revision = newest(project_name)
    if revision is None:
        return Existing(project_name)
    if revision.archive:
        return _read(project_name, revision)
    if revision.definitions.exists():
        raise InvalidInput({"project": [f"The project {project_name!r} has workflows without files. Name another."]})
    return Existing(project_name, revision)


def newest(project_name: str) -> Revision | None:
    rows = Revision.objects.filter(project__in=Project.objects.live().filter(name=project_name))
    return rows.order_by("-pk").first()


def _read(project_name: str, revision: Revision) -> Existing:
    with archives.original(revision.archive) as stored, receive(stored, declared=stored.size) as upload:
        files = dict(upload.files)
        executable = frozenset(path for path in files if upload.files.is_executable(path))
    return Existing(project_name, revision, files, executable)


def compare(there: Existing, drafts: Sequence[Draft], *, marks: Collection[str]) -> Comparison:
    """What the project would be with these drafts, and without what earlier imports with `marks` left there.

    All other files stay. The names of the drafts are not among `there.names_beside(marks)`. Raises FilesRefused with
    every mistake of the whole.
    """
    old = there.marked(marks)
    written = {path: content for draft in drafts for path, content in draft.files().items()}
    files = {**{path: content for path, content in there.files.items() if path not in old}, **written}
    dig.read(files, language=LANGUAGE)
    steps = [_step(draft, there.files.get(f"{draft.name}.dig")) for draft in drafts]
    gone = sorted(path for path in old - written.keys() if path.endswith(".dig"))
    steps += [Step(Change.REMOVED, path.removesuffix(".dig"), there.files[path].decode()) for path in gone]
    return Comparison(there, files, tuple(steps))


def _step(draft: Draft, before: bytes | None) -> Step:
    change = Change.ADDED if before is None else Change.SAME if before == draft.text.encode() else Change.CHANGED
    return Step(change, draft.name, (before or b"").decode(), draft.text, draft)


def write(comparison: Comparison, *, now: datetime, created_by: AbstractBaseUser | None = None) -> Revision | None:
    """Push what was compared; None when there is no change. Raises ProjectMoved when the project is not what it was."""
    with packed(comparison) as upload:
        return push_packed(comparison, upload, now=now, created_by=created_by)


@contextmanager
def packed(comparison: Comparison) -> Iterator[Upload | None]:
    """What is to be pushed, kept in the storage already, which may be far away; None when there is no change."""
    if not comparison.has_changes:
        yield None
        return
    with archives.pack(comparison.files, executable=comparison.existing.executable) as upload:
        archives.keep(upload)
        yield upload


def push_packed(
    comparison: Comparison, upload: Upload | None, *, now: datetime, created_by: AbstractBaseUser | None = None
) -> Revision | None:
    """Raises ProjectMoved when the project is not what was compared."""
    if upload is None:
        return None
    there = comparison.existing
    with transaction.atomic():
        locked_project(there.project_name, now)
        if newest(there.project_name) != there.revision:
            raise ProjectMoved(there.project_name)
        return push(
            project_name=there.project_name,
            revision_name=str(uuid4()),
            upload=upload,
            now=now,
            created_by=created_by,
        )
