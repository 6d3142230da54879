"""What does not parse between `${` and `}`, found before anything runs."""

from collections.abc import Iterator
from itertools import islice

from scheduler.execution import expressions
from scheduler.execution.expressions import DoesNotParse, ExpressionFailed
from scheduler.execution.operators import shell_text
from scheduler.execution.template import (
    MOST_ENDS,
    NAME,
    OF_SECRETS,
    OPENING,
    Reference,
    TemplateError,
    reference_at,
    references_at,
)

MOST_EXPRESSIONS = 1000  # of one project; whatever is left is told when it runs
FOR_THE_SHELL = " What is meant for the shell is written \\${…}, or $NAME."


class Mistakes:
    """Reads the texts of one project. An expression costs a millisecond, a name nothing, and each is looked at once."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def __call__(self, operator: str, text: str) -> Iterator[str]:
        """What is wrong with a text, the command of `operator` or, "" , any other; a sentence each."""
        if operator == "sh":
            try:
                shell_text.read(text, self._resolved)
            except TemplateError as mistake:
                yield mistake.message + FOR_THE_SHELL
            return
        at = 0
        while (opening := OPENING.search(text, at)) and (found := reference_at(text, opening.start())):
            try:
                at = self._resolved(text, opening.start())[1].end
            except TemplateError as mistake:
                at = found.end
                yield mistake.message

    def _resolved(self, text: str, at: int) -> tuple[str, Reference]:
        """Nothing, and where the reference ends: where its braces are even, or else at the next one that lets it parse.

        Raises TemplateError.
        """
        first, *longer = islice(references_at(text, at), MOST_ENDS)
        wrong = self._mistake(first.expression)
        if not wrong:
            return "", first
        for reference in longer:
            if not self._mistake(reference.expression):
                return "", reference
        raise TemplateError(f"${{{first.expression[:100]}}}: {wrong}.", first.expression)

    def _mistake(self, expression: str) -> str:
        """What JavaScript says of it; "" for nothing, and where nobody can tell."""
        if not expression or NAME.fullmatch(expression) or expression.startswith(OF_SECRETS):
            return ""
        if expression not in self._told and len(self._told) < MOST_EXPRESSIONS:
            self._told[expression] = _parsed(expression)
        return self._told.get(expression, "")


def _parsed(expression: str) -> str:
    try:
        expressions.parse(expression)
    except DoesNotParse as mistake:
        return mistake.message
    except ExpressionFailed:
        return ""
    return ""
