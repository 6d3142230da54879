"""What importing says when it cannot."""

from scheduler.errors import HindcastError


class NotTaken(HindcastError):  # noqa: N818 - named as the fact
    """What is elsewhere cannot be had here with the same meaning. The message says why, and what would be right."""
