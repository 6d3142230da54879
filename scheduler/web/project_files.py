"""The files of a revision on its page: a list with what changed, and one of them as text that can do nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from projects.archive_files import FileFacts, Look, look
from projects.archives import BadArchive
from projects.dig.problems import printable
from projects.models import Revision, WorkflowDefinition
from scheduler.web.paging import KeyPage, key_page

PAGE_SIZE = 100
LINES = 2_000
BYTES = 100_000  # of one file; a page is not the place to read more
REMOVED_SHOWN = 50
ADDED, CHANGED = "added", "changed"


@dataclass(frozen=True, slots=True)
class FileRow:
    path: str
    href: str
    size: str
    change: str


@dataclass(frozen=True)
class Files:
    """`problem` says why there is no list. `removed` are files of the revision before."""

    page: KeyPage[FileRow]
    total: int = 0
    removed: list[str] = field(default_factory=list)
    removed_more: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    text: str


@dataclass(frozen=True)
class FileText:
    """A file to be read. `note` says what is not shown of it, and why; `parsed` is what the reader made of it."""

    path: str
    lines: list[Line] = field(default_factory=list)
    note: str = ""
    parsed: str = ""


NOTHING: KeyPage[FileRow] = KeyPage((), "", "")


def files_of(
    request: HttpRequest, revision: Revision, before: Revision | None, definition: WorkflowDefinition | None
) -> tuple[Files, FileText | None]:
    """The files of `revision`, against those of the one before it, and the one that the address asks for.

    That is the file in `?file=`, or that of the workflow `definition`.
    """
    path = f"{definition.workflow.name}.dig" if definition else request.GET.get("file", "")
    try:
        here = look(revision.archive, path=path, most=BYTES)
        there = here if before and before.archive == revision.archive else look(before.archive if before else "")
    except (BadArchive, OSError) as error:
        files = Files(NOTHING, problem=unreadable(error))
        return files, _asked(path, Look({}), definition)
    after = request.GET.get("after_file", "")
    return _files(here.files, there.files if before else here.files, after), _asked(path, here, definition)


def unreadable(error: Exception) -> str:
    """Why the files of a revision cannot be shown."""
    if isinstance(error, FileNotFoundError):
        return "The archive of this revision is not in the storage any more."
    if isinstance(error, BadArchive):
        return f"The archive of this revision cannot be read: {error}"
    return "The storage of archives cannot be reached now. Try again in a minute."


def _files(here: Mapping[str, FileFacts], there: Mapping[str, FileFacts], after: str) -> Files:
    paths = [path for path in here if path > after]
    shown = paths[:PAGE_SIZE]
    removed = [path for path in there if path not in here]
    page = key_page(
        [_file_row(here[path], there) for path in paths[: PAGE_SIZE + 1]],
        size=PAGE_SIZE,
        key="after_file",
        last=shown[-1] if shown else None,
        start=after or None,
        kept={},
    )
    return Files(page, len(here), removed[:REMOVED_SHOWN], max(len(removed) - REMOVED_SHOWN, 0))


def _file_row(file: FileFacts, there: Mapping[str, FileFacts]) -> FileRow:
    before = there.get(file.path)
    change = ADDED if before is None else CHANGED if before.digest != file.digest else ""
    return FileRow(file.path, f"?{urlencode({'file': file.path})}#file", filesizeformat(file.size), change)


def _asked(path: str, here: Look, definition: WorkflowDefinition | None) -> FileText | None:
    parsed = document_text(definition) if definition else ""
    if not path:
        return None
    if here.content is None:
        note = "" if definition else "There is no such file in this revision."
        return FileText(printable(path[:1024]), note=note, parsed=parsed)
    return file_text(path, here.content, here.files[path].size, parsed=parsed)


def file_text(path: str, content: bytes, size: int, *, parsed: str = "") -> FileText:
    """The beginning of a file, line by line, as text: what cannot be seen in it is written as an escape."""
    text = _decoded(content, is_cut=size > len(content))
    if text is None:
        return FileText(path, note=f"This is no text ({filesizeformat(size)}). The archive has it.", parsed=parsed)
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    is_cut = size > len(content) or len(lines) > LINES
    note = f"Only the beginning is shown, of {filesizeformat(size)}. The archive has all of it." if is_cut else ""
    shown = [Line(number, inert(line)) for number, line in enumerate(lines[:LINES], 1)]
    return FileText(path, shown, note or ("This file is empty." if not shown else ""), parsed)


def _decoded(content: bytes, *, is_cut: bool) -> str | None:
    """None for what is no text. A letter that was cut in two at the end is left out."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        if not is_cut or error.start < len(content) - 3:
            return None
        text = content[: error.start].decode()
    return None if "\0" in text else text


def inert(line: str) -> str:
    """`line` without its end, and with nothing in it that would show the text as another one."""
    return "\t".join(printable(part) for part in line.removesuffix("\r").split("\t"))


def document_text(definition: WorkflowDefinition) -> str:
    """The parsed document as JSON, up to BYTES letters."""
    text = json.dumps(definition.document, indent=2, ensure_ascii=False)
    return text if len(text) <= BYTES else f"{text[:BYTES]}\n…"


def definition_href(project_id: int, definition: WorkflowDefinition) -> str:
    """The page of its revision with this workflow opened."""
    here = reverse("revision", args=[project_id, definition.revision_id])
    return f"{here}?{urlencode({'workflow': definition.pk})}#file"
