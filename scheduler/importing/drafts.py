"""A workflow to be: what was somewhere else, written as a `.dig` file that a person can go on with by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import yaml

from projects import dig
from projects.dig import FilesRefused
from projects.dig.problems import printable
from scheduler.importing.refusal import NotTaken
from scheduler.language import LANGUAGE
from scheduler.timetable import Slot, Timetable, parse_schedule

TASK = "+run"


@dataclass(frozen=True)
class Draft:
    """One workflow with one task. Where its name is taken, it gets another one.

    `mark` is the first line of each of its files, and says where it comes from: a file with the same mark is written
    again by the next import, any other is left alone. `about` are lines of comment. `scripts` are texts of files, by
    path. `notes` say, a sentence each, what is not quite as it was.
    """

    name: str
    mark: str
    timezone: str
    schedule: Mapping[str, Any]
    task: Mapping[str, Any]
    about: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def timetable(self) -> Timetable:
        """Raises TimetableError."""
        return parse_schedule(self.schedule, self.timezone).timetable

    @property
    def document(self) -> dict[str, Any]:
        return {"timezone": self.timezone, "schedule": dict(self.schedule), TASK: dict(self.task)}

    @property
    def text(self) -> str:
        """The `.dig` file."""
        comment = [self.mark, *(f"# {printable(line)}".rstrip() for line in self.about)]
        parts = ["\n".join(comment), *(_yaml({key: value}) for key, value in self.document.items())]
        return "\n".join([f"{parts[0]}\n{parts[1]}", *parts[2:]])

    def files(self) -> dict[str, bytes]:
        """By path; each begins with the mark."""
        scripts = {path: f"{self.mark}\n{text}" for path, text in self.scripts.items()}
        return {path: text.encode() for path, text in {f"{self.name}.dig": self.text, **scripts}.items()}

    def runs(self, *, now: datetime, count: int = 3) -> tuple[Slot, ...]:
        """The first sessions that run at `now` or later."""
        first = self.timetable.first(now)
        return tuple(islice(self.timetable.between(first.session_time, None), count)) if first else ()


def marked(text: str) -> str:
    """The mark of a draft, from a sentence."""
    return f"# {printable(text)}"


def checked(draft: Draft) -> Draft:
    """The draft, once it is certain that its files are read as they are meant. Raises NotTaken."""
    try:
        document = dig.read(draft.files(), language=LANGUAGE)[draft.name]
    except FilesRefused as refusal:
        raise NotTaken(" ".join(problem.message for problem in refusal.problems)) from None
    if document != draft.document:
        wrong = next(key for key, value in draft.document.items() if document.get(key) != value)
        raise NotTaken(f"A .dig file cannot hold it as it is: {wrong} would be {str(document.get(wrong))[:200]}.")
    return draft


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as they are, where YAML allows it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**20)
