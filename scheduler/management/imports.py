"""What an import does, or would do, as text: each workflow with its change, its times, its notes and its diff."""

from collections.abc import Iterator
from datetime import datetime
from difflib import unified_diff

from projects.dig import FilesRefused
from projects.dig.problems import printable
from scheduler.errors import InvalidInput
from scheduler.importing.drafts import Draft
from scheduler.importing.takeover import Change, Comparison, ProjectMoved, Step
from scheduler.web.schedule_words import in_words
from scheduler.web.times import local_text, zone_or_utc

SIGNS = {Change.ADDED: "+", Change.CHANGED: "~", Change.REMOVED: "-", Change.SAME: "="}
REFUSALS = (InvalidInput, FilesRefused, ProjectMoved)


def text_of(comparison: Comparison, *, now: datetime, is_dry: bool) -> str:
    """Every workflow, and a last line that counts them."""
    lines = [line for step in comparison.steps for line in _step_lines(step, now)]
    return "\n".join([*lines, summary(comparison, is_dry=is_dry)])


def summary(comparison: Comparison, *, is_dry: bool) -> str:
    counts = [(sum(step.change is change for step in comparison.steps), change.value) for change in Change]
    said = ", ".join(f"{count} {word}" for count, word in counts if count) or "no workflows"
    what = f"{comparison.project_name}: {said}."
    if not comparison.has_changes:
        return f"{what} Nothing changes."
    return f"{what} Nothing was written: this is a dry run." if is_dry else what


def _step_lines(step: Step, now: datetime) -> Iterator[str]:
    yield f"{SIGNS[step.change]} {step.name} ({step.change.value})"
    if step.draft is not None:
        yield from (f"    {line}" for line in _draft_lines(step.draft, now))
    if step.change is Change.CHANGED:
        diff = unified_diff(step.before.splitlines(), step.after.splitlines(), lineterm="", n=0)
        yield from (f"    | {printable(line)}" for line in list(diff)[2:] if not line.startswith("@@"))


def _draft_lines(draft: Draft, now: datetime) -> Iterator[str]:
    yield in_words(draft.timetable)
    where = zone_or_utc(draft.timezone)
    runs = [local_text(slot.run_time, where) for slot in draft.runs(now=now)]
    yield f"runs at {', '.join(runs)}, …" if runs else "never runs"
    yield from (f"note: {note}" for note in draft.notes)
