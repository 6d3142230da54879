"""How often one user may call the API: `HINDCAST_REQUESTS_PER_MINUTE`, over all of his keys and sessions."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from projects import limits
from projects.limits import Limit


class RequestsPerMinute(BaseThrottle):
    """Costs nothing while no limit is set, and a statement a request where one is. What is open to all is free."""

    seconds = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        most = settings.HINDCAST_REQUESTS_PER_MINUTE
        if most and request.user.pk is not None:
            limit = Limit("requests", most, seconds=60)
            self.seconds = limits.spend(limit, str(request.user.pk), now=datetime.now(UTC))
        return not self.seconds

    def wait(self) -> float:
        return float(self.seconds)
