"""Refusals on the wire: `{"message": ..., "status": ...}`, with facts of their own. The unexpected stays a 500."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import Error
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from projects.dig import FilesRefused
from projects.revisions import RevisionTaken
from projects.secrets import InvalidSecret
from projects.tar import ArchiveTooLarge, BadArchive
from projects.uploads import UploadTooSlow
from scheduler.api import entries
from scheduler.api.project_entries import mistakes
from scheduler.api.rows import attempt_rows
from scheduler.api.wire import BodyTooLarge
from scheduler.away import database_is_away
from scheduler.backfill import BackfillConflict, ScheduleNotFound
from scheduler.deletion import ProjectNotFound
from scheduler.errors import InvalidInput
from scheduler.logs import LogUnavailable
from scheduler.models import Attempt
from scheduler.observe.trouble import trouble_of
from scheduler.retrying import ScheduleGone
from scheduler.schedules import SkipConflict
from scheduler.starting import AttemptConflict, WorkflowNotFound

NON_FIELD_ERRORS = "non_field_errors"

log = structlog.get_logger(__name__)


class DatabaseTrouble(exceptions.APIException):
    status_code = 503

    def __init__(self, error: Exception) -> None:
        trouble = trouble_of(error)
        log.error(trouble.event, exc_info=error)
        super().__init__(trouble.text)
        self.wait = trouble.retry_after  # the header Retry-After, as of REST framework's own refusals


class LogTrouble(exceptions.APIException):
    status_code = 503
    wait = 10  # seconds, in the header Retry-After


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The answer to an expected failure; None lets it rise."""
    refusal = translated(error)
    if isinstance(refusal, BackfillConflict):
        response = refused(refusal.message, 409, conflicts=entries.conflict_entries(refusal.plan))
    elif isinstance(refusal, SkipConflict | RevisionTaken | ScheduleGone):
        response = refused(refusal.message, 409)
    elif isinstance(refusal, FilesRefused):
        response = refused(refusal.message, 400, errors={}, problems=mistakes(refusal.problems))
    elif isinstance(refusal, BadArchive):
        response = refused(str(refusal), archive_status(refusal), errors={})
    elif isinstance(refusal, InvalidSecret):
        response = invalid({refusal.field: [refusal.problem]})
    elif isinstance(refusal, AttemptConflict):
        response = in_the_way(refusal)
    elif isinstance(refusal, InvalidInput):
        response = invalid({spelled(name, context): texts for name, texts in refusal.errors.items()})
    elif isinstance(refusal, exceptions.ValidationError):
        response = invalid(by_field(refusal.detail))
    elif isinstance(refusal, exceptions.APIException):
        response = plain(refusal)
    else:
        return None
    set_rollback()
    return response


def translated(error: Exception) -> Exception:
    """Failures of Django and of the domain as those of REST framework that have a status."""
    match error:
        case Http404():
            return exceptions.NotFound(*error.args)
        case ScheduleNotFound() | WorkflowNotFound() | ProjectNotFound():
            return exceptions.NotFound(error.message)
        case PermissionDenied():
            return exceptions.PermissionDenied(*error.args)
        case RequestDataTooBig():
            return BodyTooLarge()
        case SuspiciousOperation() | MultiPartParserError():
            return exceptions.ParseError()
        case LogUnavailable():
            return LogTrouble(error.message)
        case Error() if database_is_away(error):
            return DatabaseTrouble(error)
        case _:
            return error


def archive_status(refusal: BadArchive) -> int:
    if isinstance(refusal, ArchiveTooLarge):
        return 413
    return 408 if isinstance(refusal, UploadTooSlow) else 400


def in_the_way(refusal: AttemptConflict) -> Response:
    """The attempt itself, as clients of Digdag expect it, and not an error object."""
    row = attempt_rows(Attempt.objects.filter(pk=refusal.attempt.pk))[0]
    return Response(entries.attempt_entry(*row), status=409)


def plain(refusal: exceptions.APIException) -> Response:
    facts: dict[str, Any] = {"errors": {}} if refusal.status_code == 400 else {}
    response = refused(str(refusal.detail), refusal.status_code, **facts)
    if challenge := getattr(refusal, "auth_header", None):
        response.headers["WWW-Authenticate"] = challenge
    if wait := getattr(refusal, "wait", None):
        response.headers["Retry-After"] = str(wait)
    return response


def invalid(errors: dict[str, list[str]]) -> Response:
    message = " ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items())
    return refused(message, 400, errors=errors)


def refused(message: str, status: int, **facts: Any) -> Response:
    return Response({"message": message, "status": status, **facts}, status=status)


def by_field(detail: Any, within: str = "") -> dict[str, list[str]]:
    """What is wrong, by field; one inside another is named `outer.inner`."""
    found: dict[str, list[str]] = {}
    for name, texts in detail.items():
        if name == NON_FIELD_ERRORS:
            found[within.rstrip(".") or name] = [str(text) for text in texts]
        elif isinstance(texts, dict):
            found |= by_field(texts, f"{within}{name}.")
        else:
            found[within + name] = [str(text) for text in texts]
    return found


def spelled(name: str, context: Mapping[str, Any]) -> str:
    """As the request has it: `attemptName` in a body of JSON, `session_time` in an address."""
    in_address = context["request"].method == "GET" or getattr(context["view"], "action", "") == "push"
    return name if in_address else camel(name)


def camel(name: str) -> str:
    """`attempt_name` as bodies write it: `attemptName`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
