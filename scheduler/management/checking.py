"""What a project's folder would do once it is pushed, and every mistake in it. Reads files alone, no database."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from projects import dig
from projects.dig import FilesRefused
from projects.folders import pack_folder
from projects.tar import BadArchive
from scheduler.api.entries import Entry, instant, local_time, place_of
from scheduler.execution.plan import PlanRefused, plan
from scheduler.language import LANGUAGE
from scheduler.management.tables import cell, facts
from scheduler.timetable import ScheduleSpec, Slot, parse_schedule
from scheduler.web.times import relative

OVERLAPS = {
    "skip": "skipped when an earlier run is not done",
    "queue_one": "waits for an earlier run, one at most",
    "cancel_running": "kills an earlier run that is not done",
}


@dataclass(frozen=True)
class Checked:
    """One workflow of the folder. `spec` and `first` are None without a schedule, `first` also when it never runs."""

    name: str
    timezone: str
    tasks: int
    params: Mapping[str, Any]
    spec: ScheduleSpec | None
    first: Slot | None

    def entry(self) -> Entry:
        """For machines: names as on the wire."""
        return {
            "name": self.name,
            "timezone": self.timezone,
            "tasks": self.tasks,
            "params": dict(self.params),
            "schedule": self.spec.timetable.describe() if self.spec else None,
            "firstSessionTime": local_time(self.first.session_time, place_of(self.timezone)) if self.first else None,
            "firstRunTime": instant(self.first.run_time) if self.first else None,
        }


def check_folder(folder: Path, *, now: datetime) -> list[Checked]:
    """The workflows of `folder`, read exactly as a push would. Raises CommandError telling every mistake."""
    try:
        with pack_folder(folder) as upload:
            documents = dig.read(upload.files, language=LANGUAGE)
    except (BadArchive, NotADirectoryError) as refusal:
        raise CommandError(str(refusal)) from None
    except FilesRefused as refusal:
        raise CommandError(refusal.message) from None
    return [checked(name, document, now) for name, document in documents.items()]


def checked(name: str, document: Mapping[str, Any], now: datetime) -> Checked:
    try:
        tasks = plan(name, document).size - 1  # the workflow itself is none of its tasks
    except PlanRefused as refusal:
        raise CommandError(f"{name}.dig: {refusal.task}: {refusal.message}") from None
    timezone = document.get("timezone", "UTC")
    schedule = document.get("schedule")
    spec = parse_schedule(schedule, timezone) if schedule else None
    first = spec.timetable.first(now) if spec else None
    return Checked(name, timezone, tasks, document.get("_export") or {}, spec, first)


def text_of(workflows: list[Checked], now: datetime) -> str:
    """For people: a paragraph for each workflow."""
    return "\n\n".join(
        f"{cell(workflow.name, 80)}\n" + "\n".join(f"  {line}" for line in facts(said(workflow, now)).splitlines())
        for workflow in workflows
    )


def said(workflow: Checked, now: datetime) -> Iterator[tuple[str, str]]:
    yield "tasks", f"{workflow.tasks:,}"
    yield "time zone", workflow.timezone
    if workflow.params:
        yield "parameters", cell(json.dumps(dict(workflow.params), ensure_ascii=False), 400)
    if workflow.spec is None:
        yield "schedule", "none; it is started by hand, or by another workflow"
        return
    yield "schedule", workflow.spec.timetable.describe()
    yield from policies(workflow.spec)
    if workflow.first is None:
        yield "first session", "never: its end has passed"
        return
    place = place_of(workflow.timezone)
    yield "first session", local_time(workflow.first.session_time, place)
    yield "first run", f"{local_time(workflow.first.run_time, place)} ({relative(workflow.first.run_time, now)})"


def policies(spec: ScheduleSpec) -> Iterator[tuple[str, str]]:
    """What it says beyond when."""
    if spec.overlap in OVERLAPS:
        yield "overlap", OVERLAPS[spec.overlap]
    if spec.catch_up != "all":
        yield "catch-up", "the latest missed session alone" if spec.catch_up == "latest" else "no missed session"
    if spec.skip_delayed_by is not None:
        yield "skipped", f"when more than {spec.skip_delayed_by:,} s late"
    if spec.timetable.start_date:
        yield "start", spec.timetable.start_date.isoformat()
    if spec.timetable.end_date:
        yield "end", f"{spec.timetable.end_date.isoformat()}, that day included"
