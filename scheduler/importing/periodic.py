"""VERB: track periodic tasks of Celery: a workflow for each, with sessions, a history and backfills from then on.

The originals go on as they were, unless they are to be switched off.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django_celery_beat.models import PeriodicTask

from projects.models import Revision
from scheduler import schedules
from scheduler.errors import HindcastError
from scheduler.importing.drafts import Draft
from scheduler.importing.names import Names
from scheduler.importing.periodic_drafts import draft_of, mark_of
from scheduler.importing.refusal import NotTaken
from scheduler.importing.takeover import (
    Change,
    Comparison,
    Existing,
    ProjectMoved,
    Step,
    compare,
    existing,
    packed,
    push_packed,
)
from scheduler.models import Schedule

PROJECT = "periodic_tasks"  # unless another one is named


@dataclass(frozen=True)
class Refusal:
    """A periodic task that cannot be tracked, and why."""

    task: PeriodicTask
    reason: str

    def __str__(self) -> str:
        return f"{self.task.name}: {self.reason}"


class TasksRefused(HindcastError):  # noqa: N818 - named as the fact
    """Periodic tasks that cannot be tracked: `refusals`. Nothing was written."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        count = "1 periodic task" if len(refusals) == 1 else f"{len(refusals)} periodic tasks"
        super().__init__("\n".join([f"{count} cannot be tracked:", *map(str, refusals)]))
        self.refusals = tuple(refusals)


@dataclass(frozen=True)
class Tracked:
    """One periodic task and the workflow that it is, or would be.

    `starts_off`: its schedule is made switched off, as the original is.
    """

    task: PeriodicTask
    step: Step
    starts_off: bool
    schedule: Schedule | None = None

    @property
    def runs(self) -> bool:
        """Both the original and the schedule are on."""
        return self.task.enabled and (self.schedule is None or self.schedule.disabled_at is None)

    @property
    def draft(self) -> Draft:
        assert self.step.draft
        return self.step.draft


@dataclass(frozen=True)
class Tracking:
    """What changes, or would. `switched_off` are the names of originals that were, or would be."""

    comparison: Comparison
    tracked: tuple[Tracked, ...]
    refusals: tuple[Refusal, ...]
    switched_off: tuple[str, ...]
    revision: Revision | None = None

    def sentences(self, *, is_dry: bool = False) -> Iterator[str]:
        """What becomes of the originals: nobody is to learn by accident that something runs twice, or not at all."""
        twice = [one.task.name for one in self.tracked if one.runs and one.task.name not in self.switched_off]
        off = [one.step.name for one in self.tracked if one.starts_off]
        if self.switched_off:
            yield f"{'Would be' if is_dry else 'Was'} switched off in beat: {', '.join(self.switched_off)}."
        if twice:
            yield f"Runs twice, by beat and by its schedule, until one of the two is switched off: {', '.join(twice)}."
        if off:
            yield f"The schedule starts switched off, as the original is: {', '.join(off)}."


def track(
    tasks: Iterable[PeriodicTask],
    *,
    project_name: str,
    switch_off: bool = False,
    skip_refused: bool = False,
    dry_run: bool = False,
    seen: str | None = None,
    now: datetime,
    created_by: AbstractBaseUser | None = None,
) -> Tracking:
    """Make workflows of the project of these periodic tasks; other workflows and files of it stay as they are.

    One that is new, of an original that is switched off, gets a schedule that is switched off, too. With `switch_off`,
    the originals stop with the same commit. `seen` is the fingerprint of the comparison that somebody agreed to.
    Raises TasksRefused, unless `skip_refused`; InvalidInput naming `project` or `tasks`; FilesRefused; ProjectMoved
    when something is not as it was `seen`, or changes meanwhile. Nothing is written then.
    """
    there = existing(project_name)
    drafts, refusals = _drafts(list(tasks), there, now)
    if refusals and not skip_refused:
        raise TasksRefused(refusals)
    comparison = compare(there, [draft for _, draft in drafts], marks=[draft.mark for _, draft in drafts])
    if seen is not None and seen != comparison.fingerprint:
        raise ProjectMoved(project_name)
    tracked = [
        Tracked(task, step, starts_off=step.change is Change.ADDED and not task.enabled)
        for (task, _), step in zip(drafts, comparison.steps, strict=False)
    ]
    off = tuple(task.name for task, _ in drafts if switch_off and task.enabled)
    if dry_run:
        return Tracking(comparison, tuple(tracked), tuple(refusals), off)
    with packed(comparison) as upload, transaction.atomic():
        _keep_as_seen(drafts, there, now)
        revision = push_packed(comparison, upload, now=now, created_by=created_by)
        _switch_off(off)
        done = tuple(_scheduled(one, project_name, now) for one in tracked)
    return Tracking(comparison, done, tuple(refusals), off, revision)


def _drafts(
    tasks: Sequence[PeriodicTask], there: Existing, now: datetime
) -> tuple[list[tuple[PeriodicTask, Draft]], list[Refusal]]:
    drafts: list[tuple[PeriodicTask, Draft]] = []
    refusals = []
    names = Names(there.names_beside([mark_of(task) for task in tasks]))
    for task in tasks:
        try:
            draft = draft_of(task, now=now, names=names)
        except NotTaken as refusal:
            refusals.append(Refusal(task, refusal.message))
        else:
            drafts.append((task, draft))
    return drafts, refusals


def _keep_as_seen(drafts: Sequence[tuple[PeriodicTask, Draft]], there: Existing, now: datetime) -> None:
    """Lock the originals until the transaction ends. Raises ProjectMoved when one is not what was read."""
    ids = [task.pk for task, _ in drafts]
    rows = PeriodicTask.objects.select_for_update(of=("self",)).select_related("crontab", "interval")
    locked = {row.pk: row for row in rows.filter(pk__in=ids).order_by("pk")}
    for task, draft in drafts:
        row = locked.get(task.pk)
        if row is None or row.enabled != task.enabled or not _is_same(row, draft, now):
            raise ProjectMoved(there.project_name)


def _is_same(task: PeriodicTask, draft: Draft, now: datetime) -> bool:
    try:
        again = draft_of(task, now=now, names=Names())
    except NotTaken:
        return False
    return (again.mark, again.document, again.about) == (draft.mark, draft.document, draft.about)


def _switch_off(names: Sequence[str]) -> None:
    """By its own `save`, one at a time: that is what tells beat to read them anew."""
    for task in PeriodicTask.objects.filter(name__in=names):
        task.enabled = False
        task.save()


def _scheduled(tracked: Tracked, project_name: str, now: datetime) -> Tracked:
    rows = Schedule.objects.filter(workflow__project__deleted_at=None, workflow__project__name=project_name)
    schedule = rows.select_related("workflow__project").get(workflow__name=tracked.step.name)
    if tracked.starts_off:
        schedules.disable(schedule.pk, now=now)
        schedule.refresh_from_db()
    return Tracked(tracked.task, tracked.step, tracked.starts_off, schedule)
