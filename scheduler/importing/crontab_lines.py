"""Read a crontab: a workflow for each of its lines, and a reason for each line that cannot be one."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from projects.dig.problems import printable, short
from scheduler.importing.cron_commands import command_of, guessed_name, task_of
from scheduler.importing.cron_times import Times, times_of
from scheduler.importing.drafts import Draft, checked, marked
from scheduler.importing.names import Names, name_from
from scheduler.importing.refusal import NotTaken
from scheduler.timetable import TimetableError, zone

TITLE_LENGTH = 40
# As cron: what was missed while nothing ran is not run later, but it is on record, and can be backfilled.
CATCH_UP = "none"
_SETTING = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^\s="']+))\s*=\s*(.*?)\s*""")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"\s*(@\S+|\S+(?:\s+\S+){4})\s+(.*)")
_FIRST_FIELDS = re.compile(r"\s*(?:@[a-z]|[*0-9][\d*,/-]*\s+[*0-9])")
_HEADING = re.compile(r"m(in(ute)?)?\s+h(our)?\s+d", re.IGNORECASE)
_AT_HOME = re.compile(r"(?<!\S)~/|\$HOME\b|\$\{HOME\}")
_MAIL = {"MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING"}


@dataclass(frozen=True)
class BadLine:
    """A line that is not taken. Counted from 1."""

    number: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}\n    {short(self.text, 200)}"


@dataclass(frozen=True)
class Reading:
    """What a crontab holds. `notes` are about the whole of it; `mark` is on all files that were made of it."""

    mark: str
    drafts: tuple[Draft, ...]
    bad: tuple[BadLine, ...]
    notes: tuple[str, ...]


def mark_of(source: str) -> str:
    """The first line of every file that is made of the crontab called `source`."""
    return marked(f"Imported from the crontab {source!r}; the next import writes this file again.")


def read(
    text: str, *, source: str, timezone: str, has_users: bool = False, taken: Collection[str] = frozenset()
) -> Reading:
    """Read the `text` of the crontab called `source`, whose times are local to `timezone` unless CRON_TZ says more.

    `has_users`: the sixth word of a line is a user, as in /etc/crontab. `taken` are names that no workflow may have.
    Raises TimetableError for a time zone that is none.
    """
    zone(timezone)
    reader = _Reader(mark_of(source), timezone, Names(taken))
    for number, line in enumerate(text.split("\n"), 1):
        reader.take(number, line.rstrip("\r"), has_users=has_users)
    return Reading(reader.mark, tuple(reader.drafts), tuple(reader.bad), tuple(reader.notes))


@dataclass
class _Reader:
    mark: str
    default_timezone: str
    names: Names
    timezone: str = ""
    bad_timezone: int = 0  # the line whose CRON_TZ is none
    environment: dict[str, str] = field(default_factory=dict)
    comment: list[str] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, number: int, line: str, *, has_users: bool) -> None:
        text = line.strip()
        if text.startswith("#"):
            self.comment.append(text.lstrip("#").strip())
            return
        try:
            if setting := _SETTING.fullmatch(line):
                self._set(number, setting)
            elif text:
                self.drafts += self._workflows(text, has_users=has_users)
        except NotTaken as refusal:
            self.bad.append(BadLine(number, text, refusal.message))
        self.comment = []

    # --- variables ----------------------------------------------------------------------------------------------

    def _set(self, number: int, setting: re.Match[str]) -> None:
        name, value = next(filter(None, setting.groups()[:3]), ""), _unquoted(setting[4])
        if name == "CRON_TZ":
            self._set_timezone(number, value)
        elif name in _MAIL:
            self._note(
                f"{name} (line {number}) is not taken along: what a command prints is in the log of its attempt."
            )
        elif name == "RANDOM_DELAY":
            self._note(f"RANDOM_DELAY (line {number}) is not taken along: sessions start on time.")
        elif not _VARIABLE.fullmatch(name):
            raise NotTaken(f"{short(name)!r} is not a name of the environment; it has letters, digits and _.")
        else:
            if name == "TZ":
                self._note(f"TZ (line {number}) is for the commands alone, as in cron; CRON_TZ is for their times.")
            self.environment = {**self.environment, name: value}

    def _set_timezone(self, number: int, name: str) -> None:
        self.bad_timezone = 0
        try:
            self.timezone = zone(name).key if name else ""
        except TimetableError as error:
            self.bad_timezone = number
            raise NotTaken(" ".join(error.errors["timezone"])) from None

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    # --- lines with a time --------------------------------------------------------------------------------------

    def _workflows(self, line: str, *, has_users: bool) -> Iterator[Draft]:
        """One; two where the days of the month and of the week are each enough. Raises NotTaken."""
        fields, user, raw = _parts(line, has_users=has_users)
        if self.bad_timezone:
            raise NotTaken(f"Its time zone is not known, as the CRON_TZ of line {self.bad_timezone} is none.")
        timezone = self.timezone or self.default_timezone
        times = times_of(fields, timezone)
        command = command_of(raw)
        if not command.text.strip():
            raise NotTaken("There is no command.")
        title, about = self._title(command.text)
        names = self._names(title, len(times.expressions))
        made = []
        for name, expression in zip(names, times.expressions, strict=True):
            task, scripts = task_of(command, name=name, environment=self.environment)
            draft = Draft(
                name=name,
                mark=self.mark,
                timezone=timezone,
                schedule={"cron>": expression, "catch_up": CATCH_UP},
                task=task,
                about=(*about, line),
                scripts=scripts,
                notes=tuple(
                    _notes(times, names, user, homeless="HOME" not in self.environment and _AT_HOME.search(raw))
                ),
            )
            made.append(checked(draft))
        return iter(made)

    def _title(self, command: str) -> tuple[str, tuple[str, ...]]:
        """What the workflow is called, and the comment above the line."""
        about = [text for text in self.comment if text and not _is_no_title(text)]
        title = _cut(about[0]) if about else ""
        return title.lower() if any(map(str.isalnum, title)) else guessed_name(command), tuple(about)

    def _names(self, title: str, count: int) -> list[str]:
        name = self.names.take(name_from(title))
        return [name, *(self.names.take(f"{name}_weekdays") for _ in range(1, count))]


def _parts(line: str, *, has_users: bool) -> tuple[list[str], str, str]:
    """The fields of the time, the user ("" where there is none), and the rest."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise NotTaken("A line has five fields (minute, hour, day of month, month, day of week) and a command.")
    fields, rest = match[1].split(), match[2]
    first, _, others = rest.partition(" ") if " " in rest else (rest, "", "")
    if has_users:
        return fields, first, others.lstrip()
    if first == "root":
        raise NotTaken("It looks like a line with a user before its command; say --system if that is so.")
    return fields, "", rest


def _notes(times: Times, names: list[str], user: str, *, homeless: object) -> Iterator[str]:
    yield from times.notes
    if homeless:
        yield "It uses its home directory, which here is the project's folder; set HOME= above it in the crontab."
    if user:
        yield f"It ran as {printable(user)}; here it runs as the user of the worker."
    if len(names) > 1:
        yield (
            "Cron runs it on days that match the day of the month or the day of the week, which are two workflows "
            f"here, {names[0]} and {names[1]}, that share no day."
        )


def _is_no_title(text: str) -> bool:
    """A line that is switched off, a heading of columns, a rule."""
    return bool(_FIRST_FIELDS.match(text) or _HEADING.match(text)) or not any(map(str.isalnum, text))


def _cut(text: str) -> str:
    """As many whole words as a name takes."""
    if len(text) <= TITLE_LENGTH:
        return text
    return text[: TITLE_LENGTH + 1].rpartition(" ")[0] or text[:TITLE_LENGTH]


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
