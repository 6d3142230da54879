"""What an operator makes: tasks that run before the next one starts. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]
FOLDER = "_workdir"  # the variable of Digdag that says in which folder of the project tasks work


@dataclass(frozen=True, slots=True)
class Made:
    """Tasks that an operator made: a group's `config`, and by name of a task in it the variables that it alone sees.

    Those are values, never templates: what comes out of data must not be evaluated. With `each` it is a loop: every
    name there stands for this same task, which is kept once.
    """

    config: Json
    variables: Mapping[str, Json] = field(default_factory=dict)
    each: Json | None = None

    @property
    def group(self) -> Json:
        """The group's document; of a loop, with the first of its tasks alone."""
        return self.config if self.each is None else {**self.config, next(iter(self.variables)): self.each}

    def as_json(self) -> dict[str, Any]:
        kept = {"config": self.config, "variables": self.variables}
        return kept if self.each is None else {**kept, "each": self.each}

    @classmethod
    def of_json(cls, kept: Json) -> "Made":
        return cls(kept["config"], kept["variables"], kept.get("each"))
