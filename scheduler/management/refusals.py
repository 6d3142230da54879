"""How commands say no: the verb's own sentence, the option that is wrong, and an exit status that tells.

0 done, 1 refused, 2 wrong usage (as everywhere), 3 something is there already, 4 and 5 how a followed attempt ended.
"""

from collections.abc import Mapping

from django.core.management.base import CommandError

from scheduler.errors import InvalidInput

REFUSED = 1
CONFLICT = 3
FAILED = 4
KILLED = 5


def refusal(error: InvalidInput, options: Mapping[str, str]) -> CommandError:
    """Every sentence after the option that it is about; `options` maps the verb's fields to them."""
    return CommandError(
        "\n".join(
            f"{options.get(field, field)}: {sentence}"
            for field, sentences in error.errors.items()
            for sentence in sentences
        )
    )
