"""What an expression can fail of."""

from scheduler.errors import HindcastError


class ExpressionFailed(HindcastError):  # noqa: N818 - named as the fact
    """The expression has no value: it threw, or reached a limit."""


class DoesNotParse(ExpressionFailed):
    """The text is no expression. The message is JavaScript's, with line and column."""


class NoSuchName(ExpressionFailed):
    """The expression names a variable that is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no variable {name!r}.")
        self.name = name
