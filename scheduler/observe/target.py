"""A guard around the WSGI application: the host that a request line names counts, and not another one in `Host`.

A client that takes us for a proxy writes `GET http://host/path`. By RFC 9112 the host of that address replaces the
header; gunicorn keeps the header, so that Django would look at a host that was not asked for.
"""

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


def host_of_target(application: WSGIApplication) -> WSGIApplication:
    """`application`, which refuses hosts that are not its own, wherever they are named."""

    def heeded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if target := ABSOLUTE.match(environ.get("RAW_URI", "")):
            environ["HTTP_HOST"] = target[1]
        return application(environ, start_response)

    return heeded
