"""Who is asking: an API key in `Authorization: TD1 <key>` (or `Bearer <key>`), or a browser session with CSRF."""

import re
from datetime import UTC, datetime

import structlog
from django.db import OperationalError
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, ParseError
from rest_framework.request import Request

from projects import apikeys
from projects.models import ApiKey

log = structlog.get_logger(__name__)

SCHEMES = {"td1", "bearer"}
KEY = re.compile(r"[!-~]{1,200}")  # visible ASCII: nothing else was ever issued
IN_ADDRESS = re.compile(rf"{apikeys.SCHEME}_[0-9a-f]{{12}}_|(?:^|&)api_?key=", re.IGNORECASE)


class ApiKeyAuthentication(BaseAuthentication):
    """`request.user` is the key's owner, `request.auth` the key. A wrong key is refused, whatever the cookies say."""

    def authenticate(self, request: Request) -> tuple[object, ApiKey] | None:
        refuse_in_address(request)
        scheme, _, text = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() not in SCHEMES:
            return None
        now = datetime.now(UTC)
        key = apikeys.find(text, now=now) if KEY.fullmatch(text := text.strip()) else None
        if key is None:
            raise AuthenticationFailed("The API key is wrong, revoked or expired.")
        note_use(key, now)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'TD1 realm="hindcast"'


class BrowserSessionAuthentication(SessionAuthentication):
    """The login of the pages; unsafe methods need the CSRF token."""


def refuse_in_address(request: Request) -> None:
    """Addresses are written down by every proxy on the way, and by browsers."""
    if IN_ADDRESS.search(request.META.get("QUERY_STRING", "")):
        raise ParseError("Send the API key in the header Authorization, never in the address. Revoke this one.")


def note_use(key: ApiKey, now: datetime) -> None:
    """A database that cannot write just now can still be read."""
    try:
        apikeys.touch(key, now=now)
    except OperationalError as error:
        log.warning("key_use_not_noted", error=str(error))


def key_of(request: Request) -> ApiKey | None:
    """The key that the request came with; None for a browser session."""
    return request.auth if isinstance(request.auth, ApiKey) else None
