"""The OpenAPI document: who may ask, what each operation refuses, and the examples of the contract."""

from collections.abc import Callable, Iterable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers

from scheduler.api import shapes
from scheduler.api.backfill_shapes import RetryConflict
from scheduler.api.project_shapes import BadPush


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "scheduler.api.authentication.ApiKeyAuthentication"
    name = "ApiKeyAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`TD1 <key>` or `Bearer <key>`.",
        }


class BrowserSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "scheduler.api.authentication.BrowserSessionAuthentication"
    name = "BrowserSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The login of the pages; unsafe methods need `X-CSRFToken`.",
        }


def refusal(status: int, description: str, shape: type[serializers.Serializer[Any]], **facts: Any) -> OpenApiResponse:
    example = {"message": description, "status": status, **facts}
    return OpenApiResponse(shape, description, [OpenApiExample(f"Refused with {status}", example)])


BAD_QUERY = refusal(
    400,
    "page_size: Give a whole number from 1 to 100.",
    shapes.InvalidRequest,
    errors={"page_size": ["Give a whole number from 1 to 100."]},
)
REFUSALS = {
    400: refusal(
        400,
        "attemptName: Give the attempts a name.",
        shapes.InvalidRequest,
        errors={"attemptName": ["Give the attempts a name."]},
    ),
    401: refusal(401, "The API key is wrong, revoked or expired.", shapes.Refusal),
    403: refusal(403, "This API key may not read: it lacks the scope `read`.", shapes.Refusal),
    404: refusal(404, "There is nothing with this id.", shapes.Refusal),
    409: refusal(
        409,
        "1 of 3 sessions already has an attempt named 'retry-12345', or one that is not done.",
        shapes.Conflict,
        conflicts=[
            {
                "sessionTime": "2022-12-31T23:59:00+00:00",
                "attemptId": "123456",
                "retryAttemptName": "retry-12345",
                "attemptStatus": "success",
                "reason": "attempt 123456 already has this name",
            }
        ],
    ),
    408: refusal(408, "The archive came too slowly.", shapes.Refusal),
    413: refusal(413, "The body has more than 1048576 bytes.", shapes.Refusal),
    415: refusal(415, 'Unsupported media type "text/plain" in request.', shapes.Refusal),
    429: refusal(429, "Request was throttled. Expected available in 42 seconds.", shapes.Refusal),
    503: refusal(503, "The database does not answer.", shapes.Refusal),
}


def documented(
    operation_id: str,
    answer: type[serializers.Serializer[Any]] | dict[Any, OpenApiResponse],
    *,
    refused: Iterable[int] = (),
    conflict: OpenApiResponse | None = None,
    files_refused: OpenApiResponse | None = None,
    **more: Any,
) -> Callable[[Any], Any]:
    """One operation: its id, its answer, and the refusals it has beside those that all have.

    `answer` is a shape, or what is answered with by status and media type.
    """
    shown = answer if isinstance(answer, dict) else {200: OpenApiResponse(answer, answer.__doc__ or "")}
    responses: dict[Any, OpenApiResponse] = {**shown}
    responses |= {status: REFUSALS[status] for status in sorted({401, 403, 429, 503, *refused})}
    if conflict is not None:
        responses[409] = conflict
    if "parameters" in more:
        responses[400] = files_refused or BAD_QUERY
    return extend_schema(operation_id=operation_id, responses=responses, **more)


REVISION_TAKEN = refusal(409, "The project 'sales' has a revision 'r1' already. Give another name.", shapes.Refusal)
FILES_REFUSED = refusal(
    400,
    "1 problem:\nreport.dig:4:3: There is no operator eco>; did you mean echo>?",
    BadPush,
    errors={},
    problems=[{"file": "report.dig", "line": 4, "column": 3, "message": "There is no operator eco>; ..."}],
)
KILL_REFUSED = refusal(409, "Attempt 123456 is success already.", shapes.Refusal)
SKIP_REFUSED = refusal(
    409, "There is nothing to skip: the schedule's next session is not before that time.", shapes.Refusal
)
RETRY_REFUSED = refusal(409, "The schedule of the backfill “mend” is not there any more.", RetryConflict)
START_REFUSED = OpenApiResponse(shapes.Attempt, "The attempt of that name, or the one that is not done.")

BACKFILL_EXAMPLES = [
    OpenApiExample(
        "Run all sessions since a moment again",
        {"attemptName": "retry-12345", "fromTime": "2023-08-18T06:52:33Z", "dryRun": False},
        request_only=True,
    ),
    OpenApiExample(
        "Look at the first three",
        {"attemptName": "retry-12345", "fromTime": "2023-08-18T06:52:33Z", "dryRun": True, "count": 3},
        request_only=True,
    ),
    OpenApiExample(
        "The attempts",
        {
            "id": "123456",
            "project": {"id": "123456", "name": "sales"},
            "workflow": {"id": "123456", "name": "hourly_report"},
            "backfillId": "123456",
            "attempts": [
                {
                    "id": "123456",
                    "index": 1,
                    "project": {"id": "123456", "name": "sales"},
                    "workflow": {"id": "123456", "name": "hourly_report"},
                    "sessionId": "123456",
                    "sessionUuid": "2b91a014-076e-4c6d-8b51-f4f91089cab2",
                    "sessionTime": "2022-12-31T23:59:00+00:00",
                    "params": {},
                    "status": "queued",
                    "done": False,
                    "success": False,
                    "cancelRequested": False,
                    "createdAt": "2023-08-18T06:52:33Z",
                    "retryAttemptName": "retry-12345",
                    "poolId": "42",
                }
            ],
        },
        response_only=True,
        status_codes=["200"],
    ),
]
