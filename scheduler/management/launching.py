"""What `start` and `retry` have in common: params from the command line, one call, its refusals, its answer."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from rest_framework.exceptions import ParseError

from scheduler.api import entries
from scheduler.api.entries import Entry
from scheduler.api.rows import Run, SessionRow
from scheduler.api.wire import parsed
from scheduler.errors import InvalidInput
from scheduler.management.finding import attempt_of
from scheduler.management.refusals import CONFLICT, refusal
from scheduler.management.runs import attempt_facts, entry_of, who
from scheduler.management.tables import as_json, facts
from scheduler.models import Attempt
from scheduler.starting import AttemptConflict, WorkflowNotFound, start

OPTIONS = {
    "retry_attempt_name": "--name",
    "session_time": "--session",
    "params": "--param",
    "pool_id": "--pool",
    "resume.attempt_id": "ATTEMPT_ID",
    "resume.from": "--resume-from",
}
MOST_FILE = 1024 * 1024


def launched(**asked: Any) -> Attempt:
    """`starting.start`, its refusals said as a command says them."""
    try:
        return start(**asked)
    except AttemptConflict as conflict:
        raise CommandError(conflict.message, returncode=CONFLICT) from None
    except WorkflowNotFound as gone:
        raise CommandError(gone.message) from None
    except InvalidInput as refused:
        raise refusal(refused, OPTIONS) from None


def tell(attempt: Attempt, *, json: bool, now: datetime, stdout: OutputWrapper, stderr: OutputWrapper) -> None:
    """The attempt as it stands now; of a dry run, what it would be."""
    if attempt._state.adding:  # it was not written
        entry = planned_entry(attempt)
        stdout.write(as_json(entry) if json else facts(who(entry)))
        stderr.write("Nothing was started: this is a dry run.")
        return
    entry = entry_of(attempt.pk)
    stdout.write(as_json(entry) if json else attempt_facts(attempt_of(attempt.pk), entry, now))


def planned_entry(attempt: Attempt) -> Entry:
    """Without ids, as nothing was written."""
    session, definition = attempt.session, attempt.definition
    project = definition.workflow.project
    run = Run(0, 0, attempt.name, attempt.params, attempt.status, attempt.created_at, None, None, attempt.pool_id)
    row = SessionRow(
        session_id=0,
        session_uuid=session.uuid,
        session_time=session.session_time,
        workflow_name=definition.workflow.name,
        project_id=project.pk,
        project_name=project.name,
        definition_id=definition.pk,
        timezone=definition.timezone,
    )
    return entries.attempt_entry(run, row)


def params_from(pairs: Iterable[str], file: Path | None) -> dict[str, Any]:
    """Those of the file, and over them KEY=VALUE pairs, whose values are text. Raises CommandError."""
    return {**(params_in(file) if file else {}), **dict(pair_of(text) for text in pairs)}


def pair_of(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise CommandError(f"--param: Write KEY=VALUE, not {text!r}.")
    return key.strip(), value


def params_in(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_FILE + 1)
    except OSError as error:
        raise CommandError(f"--params-file: {file} cannot be read: {error.strerror}.") from None
    if len(content) > MOST_FILE:
        raise CommandError(f"--params-file: {file} is larger than {MOST_FILE:,} bytes.")
    return object_in(content, file)


def object_in(content: bytes, file: Path) -> dict[str, Any]:
    try:
        found = parsed(content)
    except ParseError as error:
        raise CommandError(f"--params-file: {str(error.detail).replace('The body', str(file), 1)}") from None
    if not isinstance(found, dict):
        raise CommandError(f"--params-file: {file} holds {json.dumps(found)[:40]}, not a JSON object.")
    return found
