"""Cells that know a schedule's zone, and how a state looks."""

from datetime import UTC, datetime

from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from projects.admin.columns import EMPTY
from projects.models import Workflow
from scheduler.models import Attempt, Schedule, TaskRun
from scheduler.timetable import TimetableError
from scheduler.web.rows import state_of
from scheduler.web.states import ATTEMPT_STATES, TASK_STATES, State
from scheduler.web.times import local_text, utc_text, zone_or_utc


def schedule_of(workflow: Workflow) -> Schedule | None:
    """Needs `schedule` to be loaded with the workflow; not every workflow has one."""
    return getattr(workflow, "schedule", None)


def slot_time(instant: datetime | None, schedule: Schedule | None) -> str:
    """The instant in UTC, with the local time of the schedule's zone under it."""
    if instant is None:
        return EMPTY
    where = zone_or_utc(schedule.timezone) if schedule else UTC
    utc = format_html('<time class="hindcast-moment" datetime="{}">{}</time>', instant.isoformat(), utc_text(instant))
    if where is UTC or schedule is None or schedule.timezone == "UTC":
        return utc
    return format_html(
        '{}<br><span class="hindcast-local" title="{}">{}</span>', utc, schedule.timezone, local_text(instant, where)
    )


def label_of(schedule: Schedule) -> str:
    return f"{schedule.workflow.project.name} / {schedule.workflow.name}"


def timetable_text(schedule: Schedule) -> str:
    try:
        return schedule.timetable.describe()
    except TimetableError as error:
        return f"not a timetable: {error}"


def attempt_state(attempt: Attempt) -> SafeString:
    return drawn(state_of(attempt))


def status_state(status: str) -> SafeString:
    return drawn(ATTEMPT_STATES[status])


def task_state(task: TaskRun) -> SafeString:
    return drawn(TASK_STATES[task.state])


def drawn(state: State) -> SafeString:
    return render_to_string("hindcast/_state.html", {"state": state})
