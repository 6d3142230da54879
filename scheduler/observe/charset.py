"""A guard around the WSGI application against a `charset` that is no text.

Django reads the query in it while it makes the request, and breaks where no view and no middleware can answer.
"""

import codecs
import json
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.utils.http import parse_header_parameters

READABLE = {"utf-8", "ascii", "iso8859-1"}
MESSAGE = "The charset of the body must be UTF-8."


def readable_charset(application: WSGIApplication) -> WSGIApplication:
    """`application`, which never sees a request in a charset other than those: it is answered with 415."""

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_readable(environ.get("CONTENT_TYPE", "")):
            return application(environ, start_response)
        as_json = environ.get("PATH_INFO", "").startswith("/api/")
        body = json.dumps({"message": MESSAGE, "status": 415}) if as_json else MESSAGE
        kind = "application/json" if as_json else "text/plain; charset=utf-8"
        start_response(
            "415 Unsupported Media Type", [("Content-Type", kind), ("Content-Length", str(len(body.encode())))]
        )
        return [body.encode()]

    return checked


def is_readable(content_type: str) -> bool:
    """A charset that nobody knows is, too: Django pays no attention to it."""
    try:
        charset = parse_header_parameters(content_type)[1].get("charset", "utf-8")
        return codecs.lookup(charset).name in READABLE
    except LookupError:
        return True
    except ValueError:  # a NUL, or parameters that cannot be read
        return False
