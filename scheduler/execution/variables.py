"""The variables of a task: what the session and the attempt say, then the workflow's own. Computed when asked for.

A name means, the first that has it: a built-in; a setting of the task; what `_export` or an earlier task's result
says, the later in the workflow winning; a parameter of the attempt. Mappings of the same name are merged. Inside its
own text (`day: ${day}`) a name means what it means without that text.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from operator import attrgetter
from typing import Any
from uuid import UUID

from scheduler.execution.task import Task
from scheduler.execution.template import TemplateError, render_all
from scheduler.timetable import zone

FORMS = ("time", "date", "date_compact", "local_time", "tz_offset", "unixtime")
MISSING = object()
Neighbours = Callable[[], tuple[datetime | None, datetime | None] | None]


@dataclass
class BuiltIns:
    """The built-in variables of an attempt, as Digdag has them. Times are shown in the workflow's zone.

    `neighbours` gives the schedule's session times before and after this one; None without a schedule.
    """

    plain: dict[str, object]
    timezone: str
    session_time: datetime
    last_executed_session_time: datetime | None
    neighbours: Neighbours
    _forms: dict[str, dict[str, object]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.plain or bool(self._family(name))

    def __getitem__(self, name: str) -> object:
        if name in self.plain:
            return self.plain[name]
        return self._family(name)[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.plain
        for family in ("session", "last_executed_session", "last_session", "next_session"):
            yield from self._family(f"{family}_time")

    def _family(self, name: str) -> Mapping[str, object]:
        prefix, found, _ = name.partition("session_")
        if not found or prefix not in ("", "last_", "next_", "last_executed_"):
            return {}
        if prefix not in self._forms:
            self._compute(prefix)
        return self._forms[prefix]

    def _compute(self, prefix: str) -> None:
        if prefix in ("last_", "next_"):
            around = self.neighbours()
            for name, instant in zip(("last_", "next_"), around or (None, None), strict=True):
                self._forms[name] = forms(f"{name}session_", instant, self.timezone) if around else {}
        else:
            instant = self.session_time if prefix == "" else self.last_executed_session_time
            self._forms[prefix] = forms(f"{prefix}session_", instant, self.timezone)


class Variables(Mapping[str, object]):
    """The variables that one task sees. Texts of `_export` and of the task's settings are templates themselves."""

    def __init__(self, *, task: Task, built_ins: BuiltIns, params: Mapping[str, Any]) -> None:
        self._task = task
        self._built_ins = built_ins
        self._params = params
        self._open: dict[str, int] = {}  # names whose texts are being rendered, and the layers that these are from

    def __getitem__(self, name: str) -> object:
        if name == "task_name":
            return self._task.full_name
        if name in self._built_ins:
            return self._built_ins[name]
        found: object = MISSING
        for value in self._values(name):
            found = value if found is MISSING else merged(found, value)
            if not isinstance(value, Mapping):
                break
        if found is not MISSING:
            return found
        if name in self._open:
            raise TemplateError(f"The variable {name!r} is made of itself.", name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys(("task_name", *self._built_ins))
        for values, _ in self._layers():
            names.update(dict.fromkeys(values))
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def exported(self) -> dict[str, object]:
        """What `_export` and loops give this task, the innermost winning; nothing that data named: it may be PATH."""
        path = tuple(self._task.path())
        data = {name for around in path if around.takes_names_from_data for name in around.variables}
        names = (name for around in path for name in (*around.spec.exports, *around.variables))
        return {name: self[name] for name in names if name not in data}

    def section(self, name: str) -> dict[str, Any]:
        """What the mappings that `_export` has under `name` say, the innermost winning. Their texts are templates."""
        merged: dict[str, Any] = {}
        for around in reversed(tuple(self._task.path())):
            said = around.spec.exports.get(name)
            if isinstance(said, Mapping):
                merged.update(said)
        return merged

    def _layers(self) -> Iterator[tuple[Mapping[str, Any], bool]]:
        """Values, the first that has a name wins; True marks those whose texts are templates."""
        yield self._task.spec.settings, True
        for around in self._task.path():
            yield around.variables, False
            yield around.spec.exports, True
            for stored in _results_before(around):
                yield stored, False
        yield self._params, False

    def _values(self, name: str) -> Iterator[object]:
        """What the layers say of the name, the one that wins first."""
        within = self._open.get(name, -1)
        for index, (values, is_template) in enumerate(self._layers()):
            if index > within and name in values:
                yield self._rendered(name, values[name], index) if is_template else values[name]

    def _rendered(self, name: str, value: object, layer: int) -> object:
        before = self._open.get(name)
        self._open[name] = layer
        try:
            return render_all(value, self.__getitem__)
        finally:
            if before is None:
                del self._open[name]
            else:
                self._open[name] = before


def merged(value: object, under: object) -> object:
    """A mapping, with what another says beside it at any depth; else the value itself."""
    if not isinstance(value, Mapping) or not isinstance(under, Mapping):
        return value
    return {**under, **{key: merged(item, under[key]) if key in under else item for key, item in value.items()}}


def forms(prefix: str, instant: datetime | None, timezone: str) -> dict[str, object]:
    """An instant in every form that a workflow can ask for; all empty text for None."""
    if instant is None:
        return {f"{prefix}{form}": "" for form in FORMS}
    try:
        local = instant.astimezone(zone(timezone))
    except OverflowError:  # the first and last day of the calendar have no local time everywhere
        local = instant.astimezone(UTC)
    date = local.date().isoformat()
    return {
        f"{prefix}time": local.isoformat(timespec="seconds"),
        f"{prefix}date": date,
        f"{prefix}date_compact": date.replace("-", ""),
        f"{prefix}local_time": local.replace(tzinfo=None).isoformat(" ", "seconds"),
        f"{prefix}tz_offset": local.strftime("%z"),
        f"{prefix}unixtime": int(instant.timestamp()),
    }


def plain(
    *, timezone: str, session_id: int, session_uuid: UUID, attempt_id: int, attempt_name: str, project_id: int
) -> dict[str, object]:
    """The built-in variables that are no times."""
    return {
        "timezone": timezone,
        "session_uuid": str(session_uuid),
        "session_id": session_id,
        "attempt_id": attempt_id,
        "retry_attempt_name": attempt_name,
        "project_id": project_id,
    }


def _results_before(task: Task) -> Iterator[Mapping[str, Any]]:
    """What was stored before the task, inside the group or task around it; the latest in the workflow first."""
    around = task.parent
    if around is None or not around.gives:
        return
    if task.kind:
        for inside in reversed((*around.children, *takewhile(lambda made: made is not task, around.made))):
            yield from inside.results()
        yield around.stored
        return
    for sibling in sorted(task.sure_before(), key=attrgetter("order"), reverse=True):
        yield from sibling.results()
