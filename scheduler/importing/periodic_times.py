"""When a periodic task of Celery runs, as the `schedule:` of a workflow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import ParseException
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from scheduler.importing.refusal import NotTaken
from scheduler.timetable import Kind, Timetable, TimetableError
from scheduler.timetable.cron import parse_cron
from scheduler.timetable.pattern import Pattern

# As beat: after a pause, what is due runs once.
CATCH_UP = "latest"
LONGEST_EXPIRY = 366 * 86_400


@dataclass(frozen=True)
class Timing:
    """`schedule` is as in a workflow's file; `notes` say what is not quite as it was."""

    schedule: Mapping[str, Any]
    timezone: str
    notes: tuple[str, ...] = ()


def timing_of(task: PeriodicTask, *, now: datetime) -> Timing:
    """Raises NotTaken for what is no rule of time here, or is over."""
    if task.one_off:
        raise NotTaken("It runs once and is switched off then: a schedule has more than one session.")
    if sum(rule is not None for rule in (task.crontab, task.interval, task.solar, task.clocked)) > 1:
        raise NotTaken("It has more than one schedule, of which beat takes one. Leave it one.")
    if task.expires is not None and task.expire_seconds is not None:
        raise NotTaken("It expires in two ways, and beat cannot save it so. Leave it one.")
    if task.crontab is not None:
        kind, text, timezone, notes = Kind.CRON, _cron(task.crontab), str(task.crontab.timezone), []
    elif task.interval is not None:
        kind, text, timezone, notes = *_interval(task.interval), "UTC", [_phase(task.interval)]
    else:
        raise NotTaken(_no_rule(task))
    timetable = _timetable(kind, text, timezone)
    days, more = _days(task, timetable, now)
    schedule = {f"{kind.value}>": int(text) if text.isdigit() else text, **days, "catch_up": CATCH_UP}
    if task.expire_seconds is not None:
        schedule["skip_delayed_by"] = min(max(task.expire_seconds, 1), LONGEST_EXPIRY)
        notes.append(f"What cannot start within {task.expire_seconds:,} s is skipped, as its messages expired then.")
    return Timing(schedule, timezone, (*notes, *more))


def _no_rule(task: PeriodicTask) -> str:
    if task.solar is not None:
        return "It follows the sun, which no schedule here does. Give it a crontab near that time."
    if task.clocked is not None:
        return "It runs at one moment alone: a schedule has more than one session."
    return "It has no schedule: neither a crontab nor an interval."


def _timetable(kind: Kind, text: str, timezone: str) -> Timetable:
    try:
        return Timetable(kind=kind, expression=text, timezone=timezone)
    except TimetableError as error:
        raise NotTaken(" ".join(sentence for sentences in error.errors.values() for sentence in sentences)) from None


# --- crontabs -----------------------------------------------------------------------------------------------------


def _cron(row: CrontabSchedule) -> str:
    """Celery's own reading decides. The text stays as it is written where it is read the same here."""
    try:
        read = row.schedule
        values = (read.minute, read.hour, read.day_of_month, read.month_of_year, read.day_of_week)
    except (ParseException, ValueError) as error:
        raise NotTaken(f"Celery itself cannot read its crontab: {error}") from None
    wholes = (range(60), range(24), range(1, 32), range(1, 13), range(7))
    plain = " ".join(_listed(value, whole) for value, whole in zip(values, wholes, strict=True))
    texts = (row.minute, row.hour, row.day_of_month, row.month_of_year, row.day_of_week)
    written = " ".join("".join(str(text).split()) for text in texts)
    return written if _means(written) == _means(plain) else plain


def _listed(values: Iterable[int], whole: range) -> str:
    found = sorted(values)
    return "*" if found == list(whole) else ",".join(map(str, found))


def _means(expression: str) -> tuple[object, ...] | None:
    try:
        pattern: Pattern = parse_cron(expression)
    except TimetableError:
        return None
    return pattern.times, pattern.days, pattern.last_day, pattern.months, pattern.weekdays


# --- intervals ----------------------------------------------------------------------------------------------------


def _interval(row: IntervalSchedule) -> tuple[Kind, str]:
    if row.period == IntervalSchedule.MICROSECONDS:
        raise NotTaken("Its interval is below a second, the shortest one here.")
    if row.period == IntervalSchedule.MINUTES and row.every > 0 and 60 % row.every == 0:
        return Kind.MINUTES, str(row.every)
    try:
        return Kind.SECONDS, str(timedelta(**{row.period: row.every}) // timedelta(seconds=1))
    except OverflowError:
        raise NotTaken(f"Its interval, {row}, is longer than the calendar.") from None


def _phase(row: IntervalSchedule) -> str:
    return (
        f"Beat counts {row} from its last run, which drifts; here the sessions are the multiples of it since "
        "1970-01-01 00:00 UTC, so that each has a time of its own."
    )


# --- beginning and end ----------------------------------------------------------------------------------------------


def _days(task: PeriodicTask, timetable: Timetable, now: datetime) -> tuple[dict[str, str], list[str]]:
    """`start:` and `end:`, which are whole days: refused where that would make other times of it."""
    days: dict[str, str] = {}
    notes: list[str] = []
    if task.expires is not None:
        if task.expires <= now:
            raise NotTaken(f"It expired at {_shown(task.expires)}.")
        days["end"] = _last_day(timetable, task.expires, now)
        notes.append(f"It expires at {_shown(task.expires)}, and the schedule ends then.")
    if task.start_time is not None and task.start_time > now:
        days = {"start": _first_day(timetable, task.start_time), **days}
        notes.append(f"It does not start before {_shown(task.start_time)}.")
    return days, notes


def _first_day(timetable: Timetable, start: datetime) -> str:
    local = timetable.local(start)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if next(timetable.between(midnight.astimezone(UTC), start), None):
        raise NotTaken(
            f"It starts at {_shown(start)}, and a schedule here with a day, on which it would run before that. "
            "Set its start to a midnight."
        )
    return local.date().isoformat()


def _last_day(timetable: Timetable, expires: datetime, now: datetime) -> str:
    """The day of the last session before it expires; no session of that day may be left."""
    last = timetable.previous(expires)
    if last is None or last.session_time < now:
        raise NotTaken(f"It expires at {_shown(expires)}, before it would run again.")
    day = timetable.local(last.session_time).date()
    following = timetable.next(last.session_time)
    if following and timetable.local(following.session_time).date() == day:
        raise NotTaken(
            f"It expires at {_shown(expires)}, and a schedule here ends with a day, on which it would run after that. "
            "Set its end to a midnight."
        )
    return day.isoformat()


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
